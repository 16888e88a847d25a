// The colours of the terminal, as the reader's system has it: dark or light.
import type { ITheme } from '@xterm/xterm';

const dark: ITheme = {
  background: '#10141b',
  foreground: '#e4e8ee',
  cursor: '#e4e8ee',
  cursorAccent: '#10141b',
  selectionBackground: '#3d5a80',
  black: '#2b313c',
  red: '#ff7b76',
  green: '#57c878',
  yellow: '#e0af50',
  blue: '#6cb0ff',
  magenta: '#d699ff',
  cyan: '#4fc9d4',
  white: '#c9d1dc',
  brightBlack: '#7d8797',
  brightRed: '#ffa19d',
  brightGreen: '#86e0a0',
  brightYellow: '#f2cb7f',
  brightBlue: '#9ccbff',
  brightMagenta: '#e6c2ff',
  brightCyan: '#86e1e9',
  brightWhite: '#ffffff',
};

const light: ITheme = {
  background: '#ffffff',
  foreground: '#1d2430',
  cursor: '#1d2430',
  cursorAccent: '#ffffff',
  selectionBackground: '#b5d3f7',
  black: '#1d2430',
  red: '#c0262d',
  green: '#1a7f37',
  yellow: '#8a5a00',
  blue: '#0b5cc4',
  magenta: '#8a34b8',
  cyan: '#0f7680',
  white: '#5a6475',
  brightBlack: '#5a6475',
  brightRed: '#a3161d',
  brightGreen: '#116329',
  brightYellow: '#6f4800',
  brightBlue: '#0848a0',
  brightMagenta: '#6d2394',
  brightCyan: '#0a5c64',
  brightWhite: '#2f3947',
};

/** Calls `changed` with the colours: now, and each time the system has others. */
export function followColours(changed: (theme: ITheme) => void): void {
  const isDark = matchMedia('(prefers-color-scheme: dark)');
  const tell = (): void => changed(isDark.matches ? dark : light);
  isDark.addEventListener('change', tell);
  tell();
}
