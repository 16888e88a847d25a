// The scripts by which bash and zsh ask `ismio complete` which words fit.
//
// Both hand over what was typed as words, quotes and all taken off, without expanding anything in it; and take the answers, names
// of files among them, as text. So a substitution is not carried out because somebody looks for a completion behind it.

/** One word for any of the shells. */
export function quoted(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}

/**
 * For bash 4.2 and later. readline takes ':' and '=' for ends of words, so addresses and --option=value come in pieces: they are
 * joined again, and the answer is given without what stands before the last piece.
 * @param call the command that answers, quoted
 */
export function bashScript(call: string): string {
  return String.raw`# bash completion for ismio
_ismio() {
  local line=${'$'}{COMP_LINE:0:COMP_POINT} words=() own='' part i answer value head
  for ((i = 0; i <= COMP_CWORD; i++)); do
    part=${'$'}{COMP_WORDS[i]}
    if [[ $line != [[:blank:]]* && $i -gt 0 ]]; then
      words[${'$'}{#words[@]}-1]+=${'$'}{part:0:${'$'}{#line}}
    else
      line=${'$'}{line#"${'$'}{line%%[![:blank:]]*}"}
      words+=("${'$'}{part:0:${'$'}{#line}}")
    fi
    own=${'$'}{part:0:${'$'}{#line}}
    line=${'$'}{line:${'$'}{#own}}
  done
  [[ $own =~ ^[:=]+$ ]] && own=''
  _ismio_unquote "$own" && own=$REPLY
  for i in "${'$'}{!words[@]}"; do
    _ismio_unquote "${'$'}{words[i]}" && words[i]=$REPLY
  done
  local word=${'$'}{words[${'$'}{#words[@]}-1]}
  value=$word
  [[ $word == -*=* ]] && value=${'$'}{word#*=}
  head=${'$'}{word:0:${'$'}{#word}-${'$'}{#value}}
  COMPREPLY=()
  while IFS=$'\t' read -r answer _; do
    [[ $answer =~ ^:[0-9]+$ ]] && break # behind the last answer
    [[ $answer == "$value"* ]] || continue
    answer=$head$answer
    COMPREPLY+=("${'$'}{answer:${'$'}{#word}-${'$'}{#own}}")
  done < <(${call} complete -- "${'$'}{words[@]:1}" 2>/dev/null)
  compopt -o filenames 2>/dev/null # readline then quotes what needs it
}
_ismio_unquote() {
  local raw=$1
  REPLY=''
  while [[ -n $raw ]]; do
    case $raw in
      \\?*) REPLY+=${'$'}{raw:1:1} raw=${'$'}{raw:2} ;;
      [\"\'\\]*) raw=${'$'}{raw:1} ;;
      *) REPLY+=${'$'}{raw:0:1} raw=${'$'}{raw:1} ;;
    esac
  done
}
complete -F _ismio ismio
`;
}

/** @param call the command that answers, quoted */
export function zshScript(call: string): string {
  return String.raw`#compdef ismio
_ismio() {
  local value about
  local -a found
  while IFS=$'\t' read -r value about; do
    [[ $value == :<-> ]] && break # behind the last answer
    found+=("${'$'}{value//:/\\:}${'$'}{about:+:$about}")
  done < <(${call} complete -- "${'$'}{(@Q)words[2,CURRENT]}" 2>/dev/null)
  [[ $PREFIX == -*=* ]] && compset -P 1 '*='
  _describe ismio found
}
# Read by fpath, the file is the function; sourced, it declares it.
if [[ ${'$'}{funcstack[1]} == _ismio ]]; then
  _ismio "$@"
else
  compdef _ismio ismio
fi
`;
}
