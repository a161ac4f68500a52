/** Colours and text sizes of the page, for canvases: read again when the page's style may have changed. */

const NAMES = ["--line", "--lane", "--lane-fill", "--quiet", "--canvas", "--text"];

let theme = null;

/** Forget them. */
export function forgetTheme() {
  theme = null;
}

/** @returns {{colours: Record<string, string>, family: string, rem: number}} `rem` in CSS pixels */
export function readTheme() {
  if (theme === null) {
    const style = getComputedStyle(document.documentElement);
    theme = {
      colours: Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(name).trim()])),
      family: style.fontFamily,
      rem: parseFloat(style.fontSize),
    };
  }
  return theme;
}
