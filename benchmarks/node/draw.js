// node draw.js symbol|PNG LEVEL COUNT TEXT...: draws COUNT codes with node-qrcode, as a
// server would. The texts take turns. The last PNG, if any, goes to standard output.
const QRCode = require("qrcode");

async function main() {
  const [kind, level, count, ...texts] = process.argv.slice(2);
  const options = { errorCorrectionLevel: level, scale: 10, margin: 4 };
  let last = "";
  for (let i = 0; i < Number(count); i++) {
    const text = texts[i % texts.length];
    if (kind === "symbol") QRCode.create(text, options);
    else last = await QRCode.toBuffer(text, options);
  }
  process.stdout.write(last);
}

main();
