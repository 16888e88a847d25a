// What an editor shows of the package's exports: each has a text, which is a sentence.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import ts from 'typescript';
import { checker, exported } from './support/exports.js';

function textOf(symbol: ts.Symbol): string {
  return ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim();
}

/** Begins like a sentence, or with code; ends like one; says more than the name does. */
function isSentence(text: string): boolean {
  return /^[\p{Lu}`'"]/u.test(text) && /[.!)]$/.test(text) && text.split(/\s+/).length > 3;
}

function methodsOf(symbol: ts.Symbol): ts.Symbol[] {
  const members = [...(symbol.members?.values() ?? [])];
  return members.filter(({ flags, declarations = [] }) => {
    const [declaration] = declarations;
    const callable = ts.SymbolFlags.Method | ts.SymbolFlags.GetAccessor;
    if ((flags & callable) === 0 || declaration === undefined) return false;
    const { name } = declaration as ts.NamedDeclaration;
    if (name === undefined || !ts.isIdentifier(name)) return false; // private, or a well-known symbol
    if (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Protected) return false;
    return !ts.getJSDocTags(declaration).some(({ tagName }) => tagName.text === 'internal');
  });
}

/** Of an interface, a class, or a type that is written as an object. */
function propertiesOf(symbol: ts.Symbol): ts.Symbol[] {
  const kinds = ts.SymbolFlags.Interface | ts.SymbolFlags.Class | ts.SymbolFlags.TypeAlias;
  if ((symbol.flags & kinds) === 0) return [];
  const type = checker.getDeclaredTypeOfSymbol(symbol);
  const own = type.aliasSymbol === symbol ? type.symbol?.members : symbol.members;
  return [...(own?.values() ?? [])].filter(({ flags, declarations = [] }) => {
    const [declaration] = declarations;
    if ((flags & ts.SymbolFlags.Property) === 0 || declaration === undefined) return false;
    const { name } = declaration as ts.NamedDeclaration;
    if (name === undefined || !ts.isIdentifier(name)) return false;
    return (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Protected) === 0;
  });
}

describe('what an editor shows', () => {
  test('of every export is a sentence', () => {
    const wanting = exported().filter((symbol) => !isSentence(textOf(symbol)));
    assert.deepEqual(
      wanting.map((symbol) => `${symbol.name}: ${textOf(symbol)}`),
      [],
    );
  });

  test('of every method and accessor of an export is a sentence', () => {
    const wanting = exported().flatMap((symbol) =>
      methodsOf(symbol)
        .filter((method) => !isSentence(textOf(method)))
        .map((method) => `${symbol.name}.${method.name}: ${textOf(method)}`),
    );
    assert.deepEqual(wanting, []);
  });

  test('of every property of an export is a sentence', () => {
    const found = exported().flatMap((symbol) => propertiesOf(symbol).map((property) => ({ symbol, property })));
    const wanting = found.filter(({ property }) => !isSentence(textOf(property)));
    assert.deepEqual(
      wanting.map(({ symbol, property }) => `${symbol.name}.${property.name}: ${textOf(property)}`),
      [],
    );
    assert.ok(found.length > 300, `${found.length} properties were looked at`);
  });
});
