// Let keys go to the screen from its first byte on, without a click into it.
addEventListener("DOMContentLoaded", () => {
  const watcher = new MutationObserver(() => {
    const field = document.querySelector(".xterm-helper-textarea");
    if (field !== null && document.body.classList.contains("-first-byte")) {
      watcher.disconnect();
      field.focus();
    }
  });
  watcher.observe(document.body, { attributes: true, childList: true, subtree: true });
});
