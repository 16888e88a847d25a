// Where it ran, and how that differs from where the other ran.
import type { Environment } from '../../results.js';
import { compareEnvironments, type EnvironmentLine, environmentLines } from '../environments.js';
import { html, type Markup, name } from './markup.js';
import type { Section } from './page.js';
import { table } from './table.js';

/** Another document that this one is held against. */
export interface Other {
  /** What to call it: a file, or a commit. */
  readonly title: string;
  readonly environment: Environment;
}

export function environmentSection(environment: Environment, other: Other | null): Section {
  const content = other === null ? alone(environment) : against(environment, other);
  return { id: 'environment', title: 'Environment', content };
}

function alone(environment: Environment): Markup {
  const columns = [
    { title: 'what', cell: ([what]: [string, string]) => what },
    { title: 'here', cell: ([, value]: [string, string]) => name(value) },
  ];
  return table('Where it ran', columns, [...environmentLines(environment)]);
}

function against(environment: Environment, other: Other): Markup {
  const lines = compareEnvironments(other.environment, environment);
  const different = lines.filter(({ differs }) => differs);
  const columns = [
    { title: 'what', cell: (line: EnvironmentLine) => line.name },
    { title: other.title, cell: (line: EnvironmentLine) => name(line.a) },
    { title: 'here', cell: (line: EnvironmentLine) => name(line.b) },
    { title: 'differs', cell: ({ differs }: EnvironmentLine) => (differs ? html`<b class="differs">≠ yes</b>` : 'no') },
  ];
  const sameMachine = environment.machine === other.environment.machine;
  const said = sameMachine
    ? html`<p>The same machine; ${different.length} of ${lines.length} lines differ.</p>`
    : html`<p class="warning">Another machine: times of the two cannot be held against each other.</p>`;
  return html`${said}\n${table('Environments, line by line', columns, [...different, ...lines.filter((line) => !line.differs)])}`;
}

export function skippedSection(skipped: readonly { readonly name: string; readonly reason: string }[]): Section[] {
  if (skipped.length === 0) return [];
  const columns = [
    { title: 'what', cell: (one: { name: string }) => name(one.name) },
    { title: 'why', wide: true, cell: (one: { reason: string }) => one.reason },
  ];
  return [{ id: 'skipped', title: 'Not run', content: table('What did not run', columns, skipped) }];
}
