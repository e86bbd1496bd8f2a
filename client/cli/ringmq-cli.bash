# bash completion for ringmq-cli: options, commands and the names of queues.
#
# Everything is asked of the program that stands on the line: options of `--help`, commands and their options of `help`,
# neither of which needs a server, and the names of queues of the server that the line leads to, within a second. What
# gets no answer is not completed. Nothing that a server says is expanded or executed by the shell.
# shellcheck shell=bash

# The lines on standard input that begin with $1 become replies.
_ringmq_cli_offer() {
    local word
    while IFS= read -r word; do
        [[ $word == "$1"* && $word =~ ^[A-Za-z0-9@._/:-]+$ ]] && COMPREPLY+=("$word")
    done
}

# The options in a text of the program's help; with "valued" only those that take a value.
_ringmq_cli_options() {
    awk -v valued="$1" '{
        gsub(/[][]/, " ")
        for (i = 1; i <= NF; i++)
            if ($i ~ /^--?[a-z][a-z_-]*$/ && (valued == "" || $(i + 1) ~ /^[A-Z]+$/))
                print $i
    }'
}

# True if the option $1 takes a value, by the help text $2.
_ringmq_cli_takes_value() {
    _ringmq_cli_options valued <<<"$2" | grep -qxF -e "$1"
}

# All commands that can stand on a command line.
_ringmq_cli_commands() {
    "$1" help 2>/dev/null </dev/null | awk '/^@/ { shell = $1 == "@shell" } /^  [a-z]/ && !shell { print $1 }'
}

# Queues whose names begin with $1; the rest is the program and the options that lead to the server.
_ringmq_cli_queues() {
    local prefix=$1
    shift
    "$@" -t 1 --raw queue.list --prefix "$prefix" --max 200 2>/dev/null </dev/null |
        awk -F '\t' '$1 == "name" || $1 ~ /\.name$/ { print $2 }'
}

# The file names that begin with $1.
_ringmq_cli_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# What begins with the last of the words behind the command $name, which stand at $first and after.
_ringmq_cli_arguments() {
    local usage at place=0 option=${words[last - 1]}
    usage=$("$program" help "$name" 2>/dev/null </dev/null | head -n 1)
    [[ $usage ]] || return

    if ((last > first)) && [[ $option == -* ]] && _ringmq_cli_takes_value "$option" "$usage"; then
        case $option in
        --lines) _ringmq_cli_files "$cur" ;;
        --exec) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
        esac
        return
    fi
    if [[ $cur == -* ]]; then
        _ringmq_cli_offer "$cur" < <(
            _ringmq_cli_options "" <<<"$usage"
            printf '%s\n' --json --raw --no-raw
        )
        return
    fi
    for ((at = first; at < last; at++)); do
        if [[ ${words[at]} != -* ]]; then
            place=$((place + 1))
        elif _ringmq_cli_takes_value "${words[at]}" "$usage"; then
            at=$((at + 1))
        fi
    done
    if ((place == 0)) && [[ $name == help ]]; then
        _ringmq_cli_offer "$cur" < <(_ringmq_cli_commands "$program")
    elif ((place == 0)) && [[ $usage =~ ^[a-z._]+\ queue( |$) ]]; then
        _ringmq_cli_offer "$cur" < <(_ringmq_cli_queues "$cur" "$program" "${connection[@]}")
    fi
}

# What begins with the last word, which is a command, a part of one, or behind one.
_ringmq_cli_command() {
    local name=${words[at]} first=$((at + 1)) commands
    commands=$(_ringmq_cli_commands "$program")
    if ((at == last)); then
        # queue.create can be given as two words.
        _ringmq_cli_offer "$cur" < <(
            printf '%s\n' "$commands"
            sed -n 's/\..*//p' <<<"$commands" | sort -u
        )
        return
    fi
    if grep -qF -e "$name." <<<"$commands" && ! grep -qxF -e "$name" <<<"$commands"; then
        if ((first == last)); then
            _ringmq_cli_offer "$cur" < <(grep -F -e "$name." <<<"$commands" | sed 's/^[^.]*\.//')
            return
        fi
        name+=.${words[first]}
        first=$((first + 1))
    fi
    grep -qxF -e "$name" <<<"$commands" && _ringmq_cli_arguments
}

_ringmq_cli() {
    local program=${1/#\~\//$HOME/} line=${COMP_LINE:0:COMP_POINT} at=1 cur last help option i
    local -a words connection=()
    COMPREPLY=()

    # Not from COMP_WORDS: they are cut at colons, which the names of queues may contain.
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    last=$((${#words[@]} - 1))
    cur=${words[last]}
    help=$("$program" --help 2>/dev/null </dev/null) || return

    while ((at < last)) && [[ ${words[at]} == -* ]]; do
        option=${words[at]}
        at=$((at + 1))
        [[ $option == --url=* ]] && connection+=("$option")
        _ringmq_cli_takes_value "$option" "$help" || continue
        [[ $option =~ ^(-h|-p|-s|--url)$ ]] && connection+=("$option" "${words[at]}")
        at=$((at + 1))
    done
    if ((at > last)); then
        case $option in
        -s) _ringmq_cli_files "$cur" ;;
        -h) mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur") ;;
        esac
    elif ((at == last)) && [[ $cur == -* ]]; then
        _ringmq_cli_offer "$cur" < <(_ringmq_cli_options "" <<<"$help")
    else
        _ringmq_cli_command
    fi

    # The shell puts a reply in place of what stands behind the last colon only.
    if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        for i in "${!COMPREPLY[@]}"; do
            COMPREPLY[i]=${COMPREPLY[i]#"${cur%"${cur##*:}"}"}
        done
    fi
}

complete -F _ringmq_cli ringmq-cli
