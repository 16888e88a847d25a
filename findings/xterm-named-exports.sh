#!/bin/bash
# @xterm/headless 6.0.0 and @xterm/addon-serialize 0.14.0 (npm), with Node.js 20 and TypeScript 6.0.3: the declarations of both have
# named exports, and `import { Terminal } from '@xterm/headless'` is accepted by tsc with module nodenext, but does not link in
# Node.js: its CommonJS copies the exports in a loop, which Node.js' scan for names does not see. The very same import of
# SerializeAddon does link, as its file names it. What works for both, in types and at run time, is the default import.
#
# Seen: tsc has nothing to say; Node.js has the names [default] and [SerializeAddon, default], and the program does not start.
# Exit: 0 seen, 1 it has changed, 2 another version.
set -u
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
case $(node --version) in v20.*) ;; *) exit 2 ;; esac
echo '{"private": true, "type": "module"}' > package.json
npm install --ignore-scripts --no-audit --no-fund --loglevel=error \
  @xterm/headless@6.0.0 @xterm/addon-serialize@0.14.0 typescript@6.0.3 || exit 2

cat > typed.ts <<'T'
import { SerializeAddon } from '@xterm/addon-serialize';
import { Terminal } from '@xterm/headless';
export const both: [Terminal, SerializeAddon] = [new Terminal(), new SerializeAddon()];
T
changed=0
if npx tsc --noEmit --module nodenext --skipLibCheck --lib es2022,dom typed.ts; then echo 'tsc: accepted'; else changed=1; fi

names() { node -p "import('$1').then((all) => console.log(Object.keys(all).join(' '))); ''" | tr -d '\n'; }
headless=$(names @xterm/headless)
serialize=$(names @xterm/addon-serialize)
echo "Node.js: headless has $headless; addon-serialize has $serialize"
[ "$headless" = default ] && [ "$serialize" = 'SerializeAddon default' ] || changed=1

echo "import { Terminal } from '@xterm/headless'; console.log(typeof Terminal);" > plain.mjs
said=$(node plain.mjs 2>&1)
case $said in
  *SyntaxError*) echo 'Node.js: the import by name does not link' ;;
  *) changed=1 ;;
esac
exit $changed
