// The bar above the terminal: what is known of the console, and what may be asked of it.
import type { ConsoleRole } from '../../view.js';

function element<Kind extends HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as Kind;
}

/** What the bar asks for. */
export interface Wishes {
  request(role: ConsoleRole, reason?: string): void;
  sendBreak(): void;
  /** The keyboard goes back to the terminal. */
  focus(): void;
}

export class Bar {
  readonly #name = element('name');
  readonly #state = element('state');
  readonly #told = element('told');
  readonly #role = element('role');
  readonly #dialog = element<HTMLDialogElement>('ask');
  readonly #reason = element<HTMLInputElement>('reason');
  readonly #buttons = {
    write: element('write'),
    force: element('force'),
    break: element('break'),
    view: element('view'),
  };

  constructor(wishes: Wishes) {
    const act = (button: HTMLElement, does: () => void): void =>
      button.addEventListener('click', () => {
        does();
        wishes.focus();
      });
    act(this.#buttons.write, () => wishes.request('write'));
    act(this.#buttons.view, () => wishes.request('view'));
    act(this.#buttons.break, () => wishes.sendBreak());
    this.#buttons.force.addEventListener('click', () => this.#dialog.showModal());
    element('cancel').addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('close', () => wishes.focus());
    this.#dialog.querySelector('form')?.addEventListener('submit', () => {
      wishes.request('write', this.#reason.value);
      this.#reason.value = '';
    });
  }

  name(name: string): void {
    this.#name.textContent = name;
    document.title = name === '' ? 'Console' : name;
  }

  state(state: 'connecting' | 'open' | 'lost' | 'ended', text: string = state): void {
    this.#state.dataset['state'] = state;
    this.#state.textContent = text;
    if (state !== 'open') this.#showButtons(null);
  }

  tell(text: string): void {
    this.#told.textContent = text;
    this.#told.title = text;
  }

  role(role: ConsoleRole): void {
    this.#role.textContent = role === 'write' ? 'you write' : 'you view';
    this.#showButtons(role);
  }

  #showButtons(role: ConsoleRole | null): void {
    const { write, force, view } = this.#buttons;
    write.hidden = role !== 'view';
    force.hidden = role !== 'view';
    view.hidden = role !== 'write';
    this.#buttons.break.hidden = role !== 'write';
  }
}
