#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/names.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

// What a word may be, from the option's type: choices "a|b|c", files, or
// anything.
struct Values {
  std::vector<std::string> choices;
  bool files = false;
};

struct Option {
  std::vector<std::string> names;  // with their dashes
  std::string description;
  bool takes_value = false;
  Values values;
};

struct Command {
  std::string path;  // "apium task submit"
  std::string name;
  std::string description;
  std::vector<Option> options;
  Values positional;
  std::vector<Command> subcommands;
};

Values ValuesOf(const CLI::Option& option) {
  // Validators add their description behind a colon.
  std::string type = option.get_type_name();
  type.resize(std::min(type.find(':'), type.size()));
  Values values;
  values.files = type == "FILE" || type == "DIR";
  const bool choices = type.find('|') != std::string::npos &&
                       type.find_first_not_of("abcdefghijklmnopqrstuvwxyz-|") ==
                           std::string::npos;
  if (choices) values.choices = absl::StrSplit(type, '|');
  return values;
}

Option Describe(const CLI::Option& option) {
  Option described;
  for (const std::string& name : option.get_snames())
    described.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames())
    described.names.push_back("--" + name);
  described.description = option.get_description();
  described.takes_value = option.get_items_expected_max() > 0;
  described.values = ValuesOf(option);
  return described;
}

Command Describe(const CLI::App& app, const std::string& parent) {
  Command command;
  command.name = app.get_name();
  command.path =
      parent.empty() ? command.name : StrCat(parent, " ", command.name);
  command.description = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      const Values values = ValuesOf(*option);
      command.positional.files |= values.files;
      command.positional.choices.insert(command.positional.choices.end(),
                                        values.choices.begin(),
                                        values.choices.end());
    } else {
      command.options.push_back(Describe(*option));
    }
  }
  for (const CLI::App* subcommand :
       app.get_subcommands([](const CLI::App*) { return true; })) {
    command.subcommands.push_back(Describe(*subcommand, command.path));
  }
  return command;
}

// The command and all below it.
std::vector<const Command*> Flatten(const Command& root) {
  std::vector<const Command*> all = {&root};
  for (const Command& subcommand : root.subcommands) {
    for (const Command* command : Flatten(subcommand)) all.push_back(command);
  }
  return all;
}

// The options of `command` and the global ones.
std::vector<const Option*> AllOptions(const Command& command,
                                      const Command& root) {
  std::vector<const Option*> options;
  for (const Option& option : command.options) options.push_back(&option);
  if (&command == &root) return options;
  for (const Option& option : root.options) {
    const bool known = std::any_of(
        options.begin(), options.end(),
        [&](const Option* own) { return own->names == option.names; });
    // --version is the root's alone.
    if (!known && option.names.back() != "--version")
      options.push_back(&option);
  }
  return options;
}

std::vector<std::string> Names(const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.name);
  return names;
}

// 'text' in single quotes, for all three shells.
std::string Quote(std::string_view text) {
  return StrCat("'", absl::StrReplaceAll(AbslView(text), {{"'", "'\\''"}}),
                "'");
}

// Every option that takes a value, by any of its names: "--queue|--id".
std::string ValueOptionPattern(const Command& root) {
  std::vector<std::string> names;
  for (const Command* command : Flatten(root)) {
    for (const Option& option : command->options) {
      if (option.takes_value)
        names.insert(names.end(), option.names.begin(), option.names.end());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return absl::StrJoin(names, "|");
}

// Every path of a command that has subcommands, with the next word: "'apium
// task'|..." patterns for case.
std::string PathPattern(const Command& root) {
  std::vector<std::string> paths;
  for (const Command* command : Flatten(root)) {
    if (command != &root) paths.push_back(StrCat("\"", command->path, "\""));
  }
  return absl::StrJoin(paths, "|");
}

// bash and zsh have the same loop: `path` becomes the command that the words
// before the cursor name.
std::string PathLoop(const Command& root, std::string_view words,
                     std::string_view first, std::string_view end) {
  return StrCat("  local path=", root.name, " i\n", "  for ((i = ", first,
                "; i < ", end, "; i++)); do\n", "    case \"${", words,
                "[i]}\" in\n", "      ", ValueOptionPattern(root),
                ") ((i++)) ;;\n", "      -*) ;;\n", "      *)\n",
                "        case \"${path} ${", words, "[i]}\" in\n", "          ",
                PathPattern(root), ") path=\"${path} ${", words, "[i]}\" ;;\n",
                "        esac\n", "        ;;\n", "    esac\n", "  done\n");
}

std::string BashScript(const Command& root) {
  std::string script =
      StrCat("# bash completion for ", root.name, ": source <(", root.name,
             " completion bash)\n_", root.name,
             "() {\n  local cur=\"${COMP_WORDS[COMP_CWORD]}\"\n",
             "  local prev=\"${COMP_WORDS[COMP_CWORD - 1]}\"\n");
  StrAppend(&script, PathLoop(root, "COMP_WORDS", "1", "COMP_CWORD"));
  StrAppend(&script,
            "  local words=\"\" options=\"\" files=\"\"\n  COMPREPLY=()\n  "
            "case \"${path}:${prev}\" in\n");
  for (const Command* command : Flatten(root)) {
    for (const Option* option : AllOptions(*command, root)) {
      if (!option->takes_value) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option->names)
        patterns.push_back(StrCat("\"", command->path, ":", name, "\""));
      StrAppend(&script, "    ", absl::StrJoin(patterns, "|"), ")\n");
      if (option->values.files) {
        StrAppend(&script,
                  "      mapfile -t COMPREPLY < <(compgen -f -- \"${cur}\")\n");
      } else if (!option->values.choices.empty()) {
        StrAppend(&script, "      mapfile -t COMPREPLY < <(compgen -W \"",
                  absl::StrJoin(option->values.choices, " "),
                  "\" -- \"${cur}\")\n");
      }
      StrAppend(&script, "      return\n      ;;\n");
    }
  }
  StrAppend(&script, "  esac\n  case \"${path}\" in\n");
  for (const Command* command : Flatten(root)) {
    std::vector<std::string> words = Names(command->subcommands);
    words.insert(words.end(), command->positional.choices.begin(),
                 command->positional.choices.end());
    std::vector<std::string> options;
    for (const Option* option : AllOptions(*command, root)) {
      options.insert(options.end(), option->names.begin(), option->names.end());
    }
    StrAppend(&script, "    \"", command->path, "\")\n      words=\"",
              absl::StrJoin(words, " "), "\"\n      options=\"",
              absl::StrJoin(options, " "), "\"\n");
    if (command->positional.files) StrAppend(&script, "      files=yes\n");
    StrAppend(&script, "      ;;\n");
  }
  StrAppend(
      &script,
      "  esac\n"
      "  if [[ \"${cur}\" == -* ]]; then words=\"${options}\"; fi\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"${words}\" -- \"${cur}\")\n"
      "  if [[ -n \"${files}\" && \"${cur}\" != -* ]]; then\n"
      "    mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- "
      "\"${cur}\")\n"
      "  fi\n"
      "}\n"
      "complete -F _",
      root.name, " ", root.name, "\n");
  return script;
}

// "name:description" for _describe, in which a colon of the name would need an
// escape; ours have none.
std::string ZshItem(std::string_view name, std::string_view description) {
  return StrCat("      ", Quote(StrCat(name, ":", description)), "\n");
}

std::string ZshScript(const Command& root) {
  std::string script =
      StrCat("#compdef ", root.name, "\n# zsh completion for ", root.name, ": ",
             root.name, " completion zsh > \"${fpath[1]}/_", root.name, "\"\n_",
             root.name, "() {\n", "  local -a commands options values\n");
  StrAppend(&script, PathLoop(root, "words", "2", "CURRENT"));
  StrAppend(&script, "  case \"${path}:${words[CURRENT-1]}\" in\n");
  for (const Command* command : Flatten(root)) {
    for (const Option* option : AllOptions(*command, root)) {
      if (!option->takes_value) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option->names)
        patterns.push_back(StrCat("\"", command->path, ":", name, "\""));
      StrAppend(&script, "    ", absl::StrJoin(patterns, "|"), ")\n");
      if (option->values.files) StrAppend(&script, "      _files\n");
      if (!option->values.choices.empty()) {
        StrAppend(&script, "      compadd -- ",
                  absl::StrJoin(option->values.choices, " "), "\n");
      }
      StrAppend(&script, "      return\n      ;;\n");
    }
  }
  StrAppend(&script, "  esac\n  case \"${path}\" in\n");
  for (const Command* command : Flatten(root)) {
    StrAppend(&script, "    \"", command->path, "\")\n      commands=(\n");
    for (const Command& subcommand : command->subcommands) {
      StrAppend(&script, "  ",
                ZshItem(subcommand.name, subcommand.description));
    }
    StrAppend(&script, "      )\n      options=(\n");
    for (const Option* option : AllOptions(*command, root)) {
      for (const std::string& name : option->names)
        StrAppend(&script, "  ", ZshItem(name, option->description));
    }
    StrAppend(&script, "      )\n      values=(",
              absl::StrJoin(command->positional.choices, " "), ")\n");
    if (command->positional.files) StrAppend(&script, "      _files\n");
    StrAppend(&script, "      ;;\n");
  }
  StrAppend(&script,
            "  esac\n"
            "  (( ${#commands} )) && _describe 'command' commands\n"
            "  (( ${#values} )) && compadd -- \"${values[@]}\"\n"
            "  _describe -o 'option' options\n"
            "}\n"
            "if [[ \"${funcstack[1]}\" == _",
            root.name, " ]]; then _", root.name, " \"$@\"; else compdef _",
            root.name, " ", root.name, "; fi\n");
  return script;
}

std::string FishScript(const Command& root) {
  std::string script = StrCat(
      "# fish completion for ", root.name, ": ", root.name,
      " completion fish > ~/.config/fish/completions/", root.name, ".fish\n",
      "function __", root.name, "_path\n  set -l path ", root.name,
      "\n  set -l skip 0\n  for word in (commandline -opc)[2..-1]\n    if test "
      "$skip = 1\n      set skip 0\n"
      "      continue\n    end\n    switch $word\n      case ",
      absl::StrReplaceAll(ValueOptionPattern(root), {{"|", " "}}),
      "\n        set skip 1\n      case '-*'\n      case '*'\n        switch "
      "\"$path $word\"\n          case ",
      absl::StrReplaceAll(PathPattern(root), {{"\"|\"", "\" \""}}),
      "\n            set path \"$path $word\"\n        end\n    end\n  end\n  "
      "test \"$path\" = \"$argv\"\nend\n",
      "complete -c ", root.name, " -f\n");
  for (const Command* command : Flatten(root)) {
    const std::string line =
        StrCat("complete -c ", root.name, " -n ",
               Quote(StrCat("__", root.name, "_path ", command->path)));
    for (const Command& subcommand : command->subcommands) {
      StrAppend(&script, line, " -a ", subcommand.name, " -d ",
                Quote(subcommand.description), "\n");
    }
    if (!command->positional.choices.empty()) {
      StrAppend(&script, line, " -a ",
                Quote(absl::StrJoin(command->positional.choices, " ")), "\n");
    }
    if (command->positional.files) StrAppend(&script, line, " -F\n");
    for (const Option* option : AllOptions(*command, root)) {
      StrAppend(&script, line);
      for (const std::string& name : option->names) {
        StrAppend(&script, name.starts_with("--")
                               ? StrCat(" -l ", name.substr(2))
                               : StrCat(" -s ", name.substr(1)));
      }
      if (option->takes_value)
        StrAppend(&script, option->values.files ? " -r -F" : " -x");
      if (!option->values.choices.empty()) {
        StrAppend(&script, " -a ",
                  Quote(absl::StrJoin(option->values.choices, " ")));
      }
      StrAppend(&script, " -d ", Quote(option->description), "\n");
    }
  }
  return script;
}

}  // namespace

absl::StatusOr<std::string> CompletionScript(const CLI::App& root,
                                             std::string_view shell) {
  const Command command = Describe(root, "");
  if (shell == "bash") return BashScript(command);
  if (shell == "zsh") return ZshScript(command);
  if (shell == "fish") return FishScript(command);
  return absl::InvalidArgumentError(
      StrCat(QuoteForMessage(shell), " is none of bash, zsh, fish"));
}

}  // namespace apium::cli
