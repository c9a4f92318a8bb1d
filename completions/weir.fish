function __weir_running
    weir --query 2>/dev/null | sed -n -e 's/^{"v":1,"name":"\([^"\\]*\)".*/\1/p' -e 's/.*"pid":\([0-9]*\),.*/\1/p'
end

complete -c weir -s b -l buffer -d 'Capacity: a SIZE, or a percentage of memory' -r
complete -c weir -l spill -d 'When memory is full, go on into files of SIZE in all' -r
complete -c weir -l spool -d 'Keep all that is buffered in DIR: it outlives weir' -r -F
complete -c weir -l sync -f -a 'always off' -d 'How soon a spool is forced to the disk: DURATION, always or off [default: 500ms]' -r
complete -c weir -l pipe-size -f -a 'auto keep' -d 'Kernel pipe size to ask for on both sides: SIZE, auto or keep' -r
complete -c weir -l record-size -d 'Records are SIZE bytes each' -r
complete -c weir -l tee -d 'Deliver everything to PATH too' -r -F
complete -c weir -l tap -d 'Show PATH what passes, and never wait for it' -r -F
complete -c weir -l tap-buffer -d 'How far each --tap may be behind [default: 16MiB]' -r
complete -c weir -l recall -d 'Keep the newest SIZE of what has passed, for --look' -r
complete -c weir -l restart -d 'Run COMMAND again when it has ended before the input has' -r -f -a "never\t'It is the end'
on-failure\t'When its status is not 0, or a signal has ended it'
always\t'Whatever its status is'"
complete -c weir -l batch -d 'Run COMMAND for each batch: 1000 (records), 1MiB, 5s' -r
complete -c weir -l reject -d 'Exit statuses of COMMAND that say: this batch never' -r
complete -c weir -l backoff -d 'How long to wait between failures of COMMAND: MIN..MAX' -r
complete -c weir -l give-up -d 'End, or shed the batch, after N failures' -r
complete -c weir -s r -l rate -f -a 'off' -d 'Cap on what leaves: 10MB/s, 100/s, or a timetable' -r
complete -c weir -l input-rate -f -a 'off' -d 'Cap on what is taken from the producer' -r
complete -c weir -l burst -d 'What may pass at once after a pause [default: nothing]' -r
complete -c weir -l high -d 'Occupancy at which reading stops' -r
complete -c weir -l low -d 'Occupancy at which reading starts again' -r
complete -c weir -l prefill -d 'Hold the output until occupancy first reaches MARK' -r
complete -c weir -l shed -d 'When full, drop instead of blocking the producer' -r -f -a "oldest\t'What has been held longest'
newest\t'What has just come'
fair\t'What belongs to the lane that holds most'
off\t'Nothing: block the producer'"
complete -c weir -l patience -d 'Block the producer this long before shedding' -r
complete -c weir -l max-age -f -a 'off' -d 'Also drop what has waited longer than this' -r
complete -c weir -s j -l jobs -d 'So many COMMANDs at a time, each with its own records' -r
complete -c weir -s i -l interval -d 'Time between reports' -r
complete -c weir -s N -l name -d 'Name of this weir, in reports and for --remote' -r
complete -c weir -s s -l size -d 'Expected total, for percentage and ETA' -r
complete -c weir -l share -d 'Share the cap with all weirs of the same NAME' -r
complete -c weir -l key -d 'With --shed fair: lanes by pattern or Nth field' -r
complete -c weir -l keep -d 'Shed records that match REGEX last of all' -r
complete -c weir -l shed-to -d 'Append to FILE what is shed' -r -F
complete -c weir -l display -d 'Live report on standard error' -r -f -a "auto\t'As suits where it goes'
bar\t'A line that changes'
plain\t'A line of words each time'
json\t'A JSON object each time'
off\t'Nothing'"
complete -c weir -l stop-at -d 'End after this much of the input' -r
complete -c weir -l summary -d 'Report at the end' -r -f -a "auto\t'As suits where it goes'
text\t'A line or two for a person'
json\t'A JSON object'
off\t'Nothing'"
complete -c weir -s o -l log -d 'Append reports to FILE, not to standard error' -r -F
complete -c weir -l format -d 'Text of a bar or plain line, with fields: \'{name} {in.rate} {used%} {eta}\'' -r
complete -c weir -l chart -d 'Draw the course of the run into FILE, an SVG, at the end and on SIGUSR1' -r -F
complete -c weir -l metrics -d 'Keep FILE holding the status for Prometheus' -r -F
complete -c weir -l on -f -a 'full= 90%= shed= stall= restart= give-up= done=' -d 'Run COMMAND at full, 90%, shed, stall or done' -r
complete -c weir -l remote -x -a '(__weir_running)' -d 'Change the weir of this PID or name: --rate 1MB/s' -r
complete -c weir -l query -x -a '(__weir_running)' -d 'Print the status of that weir, or of all that you run' -r
complete -c weir -l look -x -a '(__weir_running)' -d 'Show what passes through the weir of this PID or name' -r
complete -c weir -l timeout -d 'Give up when either side stalls for this long' -r
complete -c weir -l source-timeout -d 'Give up when nothing comes from the producer for this long' -r
complete -c weir -l sink-timeout -d 'Give up when the consumer takes nothing for this long' -r
complete -c weir -l grace -d 'After SIGTERM or SIGHUP, deliver what is held for at most this long' -r
complete -c weir -l generate -d 'Print the man page or a completion script, and exit' -r -f -a "man\t'The man page, in roff'
bash\t'Completions for bash'
zsh\t'Completions for zsh'
fish\t'Completions for fish'"
complete -c weir -l no-splice -d 'Never use the zero-copy path'
complete -c weir -s l -l lines -d 'Records are lines'
complete -c weir -s 0 -l null -d 'Records end with a null byte'
complete -c weir -l append -d 'Add to the files of --tee and --tap instead of truncating them'
complete -c weir -l reopen -d 'With --remote: open the files of --log, --shed-to, --tee and --tap anew'
complete -c weir -l pause -d 'With --remote: deliver nothing until --resume'
complete -c weir -l resume -d 'With --remote: deliver again'
complete -c weir -l retry -d 'With --remote: run COMMAND at once after its failure (while paused: at --resume)'
complete -c weir -l drain -d 'With --remote: stop reading, deliver all, and end'
complete -c weir -s q -l quiet -d 'Report nothing but errors'
complete -c weir -l top -d 'Live view of all weirs that you run; q leaves'
complete -c weir -l all-users -d 'With --query, --top and --remote: the weirs of all users, for root'
complete -c weir -l no-control -d 'Let nobody control or query this weir'
complete -c weir -s h -l help -d 'Print help (see more with \'--help\')'
complete -c weir -s V -l version -d 'Print version'
