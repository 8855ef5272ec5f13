// The theme lets the keyboard scroll what is wider than its box, and looks for that when the window's size changes:
// what has been folded until now has a size now, too.
document.addEventListener("toggle", () => window.dispatchEvent(new Event("resize")), true);
