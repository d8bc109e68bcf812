// What starts when the page is there.

one("#docs").href = `${base}/docs`;
buildForm();
showForget();
showRemembered();
one("#form").addEventListener("submit", create);
one("#form").addEventListener("input", (event) => {
  if (event.target.name === "purpose") showFields();
  if (event.target.type !== "file") {
    showWhatIsNeeded();
    changed();
  }
});
one("#forget").addEventListener("click", forget);
one("#remembered-forget").addEventListener("click", () => remember(null));
one("#codes-show").addEventListener("click", () => showCodes());
one("#codes-more").addEventListener("click", () => showCodes(true));
document.addEventListener("visibilitychange", () => { if (!document.hidden) changed(0); });
say(TEXTS.working);
draw();
