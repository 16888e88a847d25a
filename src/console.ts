// What programs import as `ismio/console`. Exports only.
export type { ConsoleAccess } from './console/access.js';
export { attachConsole, type ConsoleClient } from './console/client.js';
export { type ListConsolesOptions, type ListedConsole, listConsoles } from './console/conversation.js';
export type { Line, LineEnd, LineListener, OpenLine } from './console/line.js';
export { pipeLine, serialLine } from './console/lines.js';
export type { AttachOptions, ConsoleOptions, Replay, ServeConsolesOptions } from './console/options.js';
export { type CommandOptions, commandLine } from './console/pty.js';
export {
  type AsciicastOptions,
  type ConsoleRecorder,
  type RecordingSummary,
  type RecordOptions,
  recordAsciicast,
  recordScript,
} from './console/recording/recorder.js';
export type { ScriptSinks } from './console/recording/script.js';
export type { OnExit } from './console/room.js';
export {
  type ConsoleAudit,
  type ConsoleServer,
  type ConsoleServerEvents,
  type ConsoleStatus,
  serveConsoles,
} from './console/server.js';
export type { ConsoleRole, ConsoleView, ConsoleViewEvents, TerminalSize } from './console/view.js';
