// Reads QR codes in PNG files: node read.js FILE ...; a line of JSON for each file, with
// the text that each reader found, or null.
const fs = require("fs");
const { PNG } = require("pngjs");
const jsQR = require("jsqr");
const zxing = require("@zxing/library");

function zxingReads(grey, width, height) {
  const source = new zxing.RGBLuminanceSource(grey, width, height);
  const bitmap = new zxing.BinaryBitmap(new zxing.HybridBinarizer(source));
  const hints = new Map([[zxing.DecodeHintType.TRY_HARDER, true]]);
  return new zxing.QRCodeReader().decode(bitmap, hints).getText();
}

function attempt(read) {
  try {
    return read() ?? null;
  } catch {
    return null; // each reader throws something of its own if there is no code
  }
}

async function main() {
  const { default: decode } = await import("qr/decode.js");
  for (const file of process.argv.slice(2)) {
    const { data, width, height } = PNG.sync.read(fs.readFileSync(file));
    const grey = new Uint8ClampedArray(width * height);
    for (let i = 0; i < grey.length; i++) {
      const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
      grey[i] = (77 * red + 150 * green + 29 * blue) >> 8;
    }
    const pixels = new Uint8ClampedArray(data);
    console.log(JSON.stringify({
      jsQR: attempt(() => jsQR(pixels, width, height)?.data),
      "ZXing-js": attempt(() => zxingReads(grey, width, height)),
      "npm qr": attempt(() => decode({ width, height, data: new Uint8Array(data) })),
    }));
  }
}

main();
