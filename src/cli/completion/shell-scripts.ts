/** The shells that rebox completes its words in. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

export type Shell = (typeof SHELLS)[number];

/**
 * The script that each shell reads. All of them ask `rebox complete` for the words, so that they know what this very rebox knows: a candidate
 * and its description on each line, and a last line ":files" where a file may stand.
 */
export const SHELL_SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# Completion of rebox for bash: source <(rebox completion bash)
_rebox() {
  local word line words=() files=
  # Bash takes "=" for a word of its own.
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD}"; do
    [[ $word == "=" ]] || words+=("$word")
  done
  [[ \${COMP_WORDS[COMP_CWORD]} == "=" ]] && words+=("")
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then files=yes; else COMPREPLY+=("\${line%%$'\\t'*}"); fi
  done < <("\${COMP_WORDS[0]}" complete -- "\${words[@]}" 2>/dev/null)
  [[ $files ]] || compopt +o default
}
complete -o default -F _rebox rebox
`,
  zsh: `#compdef rebox
# Completion of rebox for zsh: source <(rebox completion zsh)
_rebox() {
  local -a asked found
  local line files
  asked=("\${(@Q)words[2,CURRENT]}")
  # The value of --option=value is a word of its own.
  if [[ $asked[-1] == --*=* ]]; then
    asked=("\${(@)asked[1,-2]}" "\${asked[-1]%%=*}" "\${asked[-1]#*=}")
    compset -P '*='
  fi
  while IFS= read -r line; do
    if [[ $line == :files ]]; then files=yes; continue; fi
    found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done < <("\${(Q)words[1]}" complete -- "\${(@)asked}" 2>/dev/null)
  (( $#found )) && _describe rebox found
  [[ -n $files ]] && _files
}
if [[ $funcstack[1] == _rebox ]]; then _rebox "$@"; else compdef _rebox rebox; fi
`,
  fish: `# Completion of rebox for fish: rebox completion fish | source
function __rebox_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (command $words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            set -l flag (string match -r -- '^--[\\w-]+=' "$current")
            for path in (__fish_complete_path (string replace -r -- '^--[\\w-]+=' '' "$current"))
                echo "$flag$path"
            end
        else
            echo $line
        end
    end
end
complete -c rebox -f -a '(__rebox_complete)'
`,
};
