_weir_running() {
    local name quoted
    COMPREPLY=()
    while IFS= read -r name; do
        printf -v quoted %q "${name}"
        [[ ${name} == "$1"* || ${quoted} == "$1"* ]] && COMPREPLY+=("${quoted}")
    done < <(weir --query 2>/dev/null | sed -n -e 's/^{"v":1,"name":"\([^"\\]*\)".*/\1/p' -e 's/.*"pid":\([0-9]*\),.*/\1/p')
}

# Files, whose names are one word each, never expanded, and quoted where that is needed.
_weir_files() {
    local name
    COMPREPLY=()
    compopt -o filenames 2>/dev/null
    while IFS= read -r name; do
        COMPREPLY+=("${name}")
    done < <(compgen -f -- "$1")
}

_weir() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="weir"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        weir)
            opts="-b -l -0 -r -j -i -N -s -o -q -h -V --buffer --spill --spool --sync --pipe-size --no-splice --lines --null --record-size --tee --tap --tap-buffer --recall --append --restart --batch --reject --backoff --give-up --rate --input-rate --burst --high --low --prefill --shed --patience --max-age --jobs --interval --reopen --name --size --pause --resume --retry --drain --share --key --keep --shed-to --display --stop-at --summary --log --format --chart --metrics --on --quiet --remote --query --look --top --all-users --no-control --timeout --source-timeout --sink-timeout --grace --generate --help --version"
            if [[ ${cur} == -* ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --buffer)
                    _weir_files "${cur}"
                    return 0
                    ;;
                -b)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --spill)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --spool)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --sync)
                    COMPREPLY=($(compgen -W "always off" -- "${cur}"))
                    return 0
                    ;;
                --pipe-size)
                    COMPREPLY=($(compgen -W "auto keep" -- "${cur}"))
                    return 0
                    ;;
                --record-size)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --tee)
                    local oldifs
                    if [ -n "${IFS+x}" ]; then
                        oldifs="$IFS"
                    fi
                    IFS=$'\n'
                    _weir_files "${cur}"
                    if [ -n "${oldifs+x}" ]; then
                        IFS="$oldifs"
                    fi
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o filenames
                    fi
                    return 0
                    ;;
                --tap)
                    local oldifs
                    if [ -n "${IFS+x}" ]; then
                        oldifs="$IFS"
                    fi
                    IFS=$'\n'
                    _weir_files "${cur}"
                    if [ -n "${oldifs+x}" ]; then
                        IFS="$oldifs"
                    fi
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o filenames
                    fi
                    return 0
                    ;;
                --tap-buffer)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --recall)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --restart)
                    COMPREPLY=($(compgen -W "never on-failure always" -- "${cur}"))
                    return 0
                    ;;
                --batch)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --reject)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --backoff)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --give-up)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --rate)
                    COMPREPLY=($(compgen -W "off" -- "${cur}"))
                    return 0
                    ;;
                -r)
                    COMPREPLY=($(compgen -W "off" -- "${cur}"))
                    return 0
                    ;;
                --input-rate)
                    COMPREPLY=($(compgen -W "off" -- "${cur}"))
                    return 0
                    ;;
                --burst)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --high)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --low)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --prefill)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --shed)
                    COMPREPLY=($(compgen -W "oldest newest fair off" -- "${cur}"))
                    return 0
                    ;;
                --patience)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --max-age)
                    COMPREPLY=($(compgen -W "off" -- "${cur}"))
                    return 0
                    ;;
                --jobs)
                    _weir_files "${cur}"
                    return 0
                    ;;
                -j)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --interval)
                    _weir_files "${cur}"
                    return 0
                    ;;
                -i)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --name)
                    _weir_files "${cur}"
                    return 0
                    ;;
                -N)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --size)
                    _weir_files "${cur}"
                    return 0
                    ;;
                -s)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --share)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --key)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --keep)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --shed-to)
                    local oldifs
                    if [ -n "${IFS+x}" ]; then
                        oldifs="$IFS"
                    fi
                    IFS=$'\n'
                    _weir_files "${cur}"
                    if [ -n "${oldifs+x}" ]; then
                        IFS="$oldifs"
                    fi
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o filenames
                    fi
                    return 0
                    ;;
                --display)
                    COMPREPLY=($(compgen -W "auto bar plain json off" -- "${cur}"))
                    return 0
                    ;;
                --stop-at)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --summary)
                    COMPREPLY=($(compgen -W "auto text json off" -- "${cur}"))
                    return 0
                    ;;
                --log)
                    local oldifs
                    if [ -n "${IFS+x}" ]; then
                        oldifs="$IFS"
                    fi
                    IFS=$'\n'
                    _weir_files "${cur}"
                    if [ -n "${oldifs+x}" ]; then
                        IFS="$oldifs"
                    fi
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o filenames
                    fi
                    return 0
                    ;;
                -o)
                    local oldifs
                    if [ -n "${IFS+x}" ]; then
                        oldifs="$IFS"
                    fi
                    IFS=$'\n'
                    _weir_files "${cur}"
                    if [ -n "${oldifs+x}" ]; then
                        IFS="$oldifs"
                    fi
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o filenames
                    fi
                    return 0
                    ;;
                --format)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --chart)
                    local oldifs
                    if [ -n "${IFS+x}" ]; then
                        oldifs="$IFS"
                    fi
                    IFS=$'\n'
                    _weir_files "${cur}"
                    if [ -n "${oldifs+x}" ]; then
                        IFS="$oldifs"
                    fi
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o filenames
                    fi
                    return 0
                    ;;
                --metrics)
                    local oldifs
                    if [ -n "${IFS+x}" ]; then
                        oldifs="$IFS"
                    fi
                    IFS=$'\n'
                    _weir_files "${cur}"
                    if [ -n "${oldifs+x}" ]; then
                        IFS="$oldifs"
                    fi
                    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                        compopt -o filenames
                    fi
                    return 0
                    ;;
                --on)
                    COMPREPLY=($(compgen -W "full= 90%= shed= stall= restart= give-up= done=" -- "${cur}"))
                    return 0
                    ;;
                --remote)
                    _weir_running "${cur}"
                    return 0
                    ;;
                --query)
                    _weir_running "${cur}"
                    return 0
                    ;;
                --look)
                    _weir_running "${cur}"
                    return 0
                    ;;
                --timeout)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --source-timeout)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --sink-timeout)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --grace)
                    _weir_files "${cur}"
                    return 0
                    ;;
                --generate)
                    COMPREPLY=($(compgen -W "man bash zsh fish" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            _weir_files "${cur}"
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _weir -o nosort -o bashdefault -o default weir
else
    complete -F _weir -o bashdefault -o default weir
fi
