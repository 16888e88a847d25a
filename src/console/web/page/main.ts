// The script of the console's page: a terminal, the bar above it, and the line to the server.
import type { ToPage } from '../messages.js';
import { Bar } from './bar.js';
import { Line } from './line.js';
import { Screen } from './screen.js';

/** Why the server ended it, once it said so. */
let end: string | null = null;
let state: 'connecting' | 'open' | 'lost' | 'ended' = 'connecting';
let role: 'view' | 'write' = 'view';

// The token was for one use, and is nobody's affair any more.
history.replaceState(null, '', '/');

const place = document.getElementById('terminal') as HTMLElement;
const screen = new Screen(place, {
  type: (keys) => line.type(keys),
  fits: (size) => line.ask({ type: 'size', size }),
});
const bar = new Bar({
  request: (wish, reason) => line.ask({ type: 'request', role: wish, ...(reason === undefined ? {} : { reason }) }),
  sendBreak: () => line.ask({ type: 'break' }),
  focus: () => screen.focus(),
});
const line = new Line({
  output: (bytes, shown) => screen.write(bytes, shown),
  told,
  lost: (isFinal) => {
    become(isFinal ? 'ended' : 'lost', isFinal ? 'ended' : 'lost, trying again');
    if (isFinal) bar.tell(end ?? 'the server closed this page');
  },
});
screen.focus();

function told(message: ToPage): void {
  switch (message.type) {
    case 'hello':
      end = null;
      screen.clear();
      bar.name(message.name);
      bar.tell('');
      role = message.role;
      screen.resize(message.size);
      become('open');
      break;
    case 'screen':
      screen.clear();
      break;
    case 'gap':
      screen.cut();
      bar.tell(`${message.bytes.toLocaleString('en')} bytes are missing here`);
      break;
    case 'size':
      screen.resize(message.size);
      break;
    case 'role':
      role = message.role;
      bar.tell(message.reason);
      become(state);
      break;
    case 'notice':
    case 'exit':
      bar.tell(message.type === 'exit' ? `the command ${message.text}` : message.text);
      break;
    case 'state':
      become(message.state);
      break;
    case 'end':
      end = message.text;
      bar.tell(message.text);
      break;
  }
}

/** Keys are taken while the console is there and this page writes. */
function become(now: typeof state, text: string = now): void {
  state = now;
  bar.state(now, text);
  if (now === 'open') bar.role(role);
  screen.become(now === 'open' ? role : 'view');
}
