/** Shell completion for bash, made from the program itself. */
import type { Command } from "commander";
import { program } from "../../cli/program.ts";

function words(command: Command): string[] {
  return [
    ...command.commands.map((child) => child.name()),
    ...command.options.map(({ long, short }) => long ?? short ?? ""),
    "--help",
  ].filter((word) => word !== "");
}

/** A `case` line for a command and all below it. */
function cases(command: Command, path: string): string[] {
  const name = `${path}${command.name()}`;
  return [
    `    "${name}") words="${words(command).join(" ")}" ;;`,
    ...command.commands.flatMap((child) => cases(child, `${name} `)),
  ];
}

/** The file that bash-completion loads for `rtm`. File names are completed after -c, *-file and dir. */
export function bashCompletion(): string {
  const root = program();
  const verbs = [...root.commands].flatMap((child) => [
    child.name(),
    ...child.commands.map((c) => c.name()),
  ]);
  return `# bash completion for rtm; made from the program.
_rtm() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" name=rtm word words
  COMPREPLY=()
  case "$previous" in
    -c | --config | --*-file | --dir) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " ${[...new Set(verbs)].join(" ")} " in
      *" $word "*) name="$name $word" ;;
    esac
  done
  case "$name" in
${cases(root, "").join("\n")}
    *) words="" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _rtm rtm
`;
}
