// Before anything is painted: the reader's last choice, or what the system prefers.
(() => {
  const saved = document.cookie.match(/(?:^|; )fastrnn-theme=(\w+)/)
  const prefersDark = matchMedia("(prefers-color-scheme: dark)").matches
  document.documentElement.dataset.theme = saved ? saved[1] : prefersDark ? "dark" : "light"
})()
