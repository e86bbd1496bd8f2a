# bash completion for ringmq-cli: options, commands, and what follows them.
#
# Everything is asked of the program that stands on the line: its own options of `--help`, which needs no server, and
# everything behind the command of `--complete`, which asks the server that the line leads to for names, and does not wait
# long. What gets no answer is not completed. Nothing that a server says is expanded or executed by the shell.
# shellcheck shell=bash

# The lines on standard input that begin with $1 become replies.
_ringmq_cli_offer() {
    local word
    while IFS= read -r word; do
        [[ $word == "$1"* && $word =~ ^[A-Za-z0-9@._/:=-]+$ ]] && COMPREPLY+=("$word")
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

# The file names that begin with $1.
_ringmq_cli_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# What begins with the last word, which is a command, a part of one, or behind one.
_ringmq_cli_command() {
    local replies
    replies=$("$program" "${connection[@]}" --complete "${words[*]:at}" 2>/dev/null </dev/null)
    case $replies in
    ' file') _ringmq_cli_files "${cur##*=}" ;;
    ' command') mapfile -t COMPREPLY < <(compgen -c -- "${cur##*=}") ;;
    *) _ringmq_cli_offer "$cur" <<<"$replies" ;;
    esac
    # Behind an equals sign comes a value.
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
}

# The shell puts a reply in place of what stands behind the last of its own $1, a colon or an equals sign, only.
_ringmq_cli_cut() {
    local i
    [[ $cur == *"$1"* && $COMP_WORDBREAKS == *"$1"* ]] || return
    for i in "${!COMPREPLY[@]}"; do
        COMPREPLY[i]=${COMPREPLY[i]#"${cur%"${cur##*"$1"}"}"}
    done
}

_ringmq_cli() {
    local program=${1/#\~\//$HOME/} line=${COMP_LINE:0:COMP_POINT} at=1 cur last help option
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
    if [[ $cur == *=* ]]; then
        _ringmq_cli_cut '='
        cur=${cur##*=}
    fi
    _ringmq_cli_cut :
}

complete -F _ringmq_cli ringmq-cli
