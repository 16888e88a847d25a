// Addresses of PCI functions as they are typed.
import { checkBdf } from '../support/check.js';

/** lspci leaves the domain out where it is 0000. */
export function parseBdf(text: string): string {
  return checkBdf(/^[0-9a-f]{2}:[^:]+$/i.test(text) ? `0000:${text}` : text);
}
