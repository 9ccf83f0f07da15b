# floors.awk - a file includes from its own floor or a lower one.
#
#	awk -f tests/floors.awk -v order="sdk base net ..." gateway/*/*.[ch]
#
# The floor of a file is the folder above it; main.c, above all, is not asked.
# An include without a folder, like "moongate.h", is the sdk's: below everything.
BEGIN {
	n = split(order, name, " ")
	for (i = 1; i <= n; i++)
		level[name[i]] = i
	if (!n) {
		print "Bail out! floors.awk needs -v order=\"sdk base ...\""
		bailed = 1
		exit 2
	}
}

FNR == 1 {
	parts = split(FILENAME, path, "/")
	floor = path[parts - 1]
	if (!(floor in level))
		bad[++bads] = FILENAME ": '" floor "' is no floor: " order
	files++
}

/^[ \t]*#[ \t]*include[ \t]*"[^"]*\// {
	split($0, quoted, "\"")
	split(quoted[2], from, "/")
	if (!(from[1] in level))
		bad[++bads] = FILENAME ":" FNR ": '" quoted[2] "' is on no floor"
	else if (floor in level && level[from[1]] > level[floor])
		bad[++bads] = FILENAME ":" FNR ": " floor " must not know '" quoted[2] "'"
}

END {
	if (bailed)
		exit 2
	if (!files)
		bad[++bads] = "no file was given"
	print (bads ? "not ok" : "ok") " 1 - no file includes from a floor above its own (" files + 0 " files)"
	for (i = 1; i <= bads; i++)
		print "# " bad[i]
	print "1..1"
	exit bads > 0
}
