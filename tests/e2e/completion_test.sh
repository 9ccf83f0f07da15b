#!/bin/sh
# Completion: what is offered where, and that the scripts do it in their shells; the manual page.
MOONGATE=${MOONGATE:-$(cd "$(dirname "$0")/../.." && pwd)/build/moongate}
DIR=$(mktemp -d)
N=0 BAD=0
unset MOONGATE_URL MOONGATE_KEY MOONGATE_KEY_FILE MOONGATE_MANAGEMENT_KEY MOONGATE_CONFIG OPENROUTER_BASE_URL OPENROUTER_API_KEY
trap 'rm -rf "$DIR"' EXIT

is() { # is NAME GOT WANT
	N=$((N + 1))
	if [ "$2" = "$3" ]; then echo "ok $N - $1"; return; fi
	BAD=$((BAD + 1))
	echo "not ok $N - $1"
	printf '%s\n' "got: $2" "want: $3" | sed 's/^/# /'
}
skip() { N=$((N + 1)); echo "ok $N - $1 # SKIP $2"; }
# The words offered for a line, with blanks between.
offered() { "$MOONGATE" completion words -- "$@" 2>&1 | cut -f1 | tr '\n' ' ' | sed 's/ $//'; }

[ -x "$MOONGATE" ] || { echo "1..0 # SKIP $MOONGATE is not built"; exit 0; }
cd "$DIR" || exit 1
mkdir bin && ln -s "$MOONGATE" bin/moongate && PATH=$DIR/bin:$PATH
moongate init . >/dev/null 2>&1
moongate key create laptop >/dev/null 2>&1
moongate key create ci >/dev/null 2>&1

is "the commands" "$(offered '' | cut -d' ' -f1-4)" "serve init config key"
is "those that begin so" "$(offered re)" "reload restore"
is "a word that several begin with, once" "$(offered po)" policy
is "the second words" "$(offered key '')" "create list show update disable delete"
is "what help is about" "$(offered help plugin n)" new
is "the options" "$(offered key list --)" "--enabled --config --url --key-file --timeout --output --json --color --no-color --quiet --help"
is "no option where a value is meant" "$(offered key list --output '')" "table json jsonl csv"
is "as bash cuts it" "$(offered key list --output = j)" "json jsonl"
is "keys, by their names" "$(offered key show "" | tr " " "\n" | sort | tr "\n" " ")" "ci laptop "
is "models" "$(offered chat sim/)" sim/echo
is "not behind the model" "$(offered chat sim/echo s)" ""
is "options are no arguments" "$(offered chat --max-tokens 5 --cost sim)" sim/echo
is "providers, of the configuration that is named" "$(cd / && offered provider test --config "$DIR/config.lua" s)" sim
is "clients" "$(offered env cl)" claude-code
is "shells" "$(offered completion z)" zsh
is "files are the shell's matter" "$(offered backup '')" ""
is "what each is" "$(moongate completion words -- key sh)" "show	show a key, by name, hash or the hash's beginning"
is "nothing is known: nothing is said" "$(cd / && offered key show x)" ""

for shell in bash zsh fish; do
	moongate completion $shell >script.$shell
	if command -v $shell >/dev/null; then is "$shell reads its script" "$($shell -n script.$shell 2>&1)" ""; else skip "$shell reads its script" "no $shell"; fi
done
if command -v bash >/dev/null; then
	# shellcheck disable=SC2016
	is "bash completes" "$(bash -c '. ./script.bash; COMP_WORDS=(moongate key show la) COMP_CWORD=3; _moongate moongate; echo "${COMPREPLY[*]}"; complete -p moongate')" \
		"laptop
complete -o default -F _moongate moongate"
else skip "bash completes" "no bash"; fi
if command -v fish >/dev/null; then
	is "fish completes" "$(HOME=$DIR fish -c "source script.fish; complete -C 'moongate key show la'; complete -C 'moongate key '" 2>&1 | cut -f1 | tr '\n' ' ')" \
		"laptop create delete disable list show update "
else skip "fish completes" "no fish"; fi

moongate man >moongate.1
is "the manual has every command" "$(moongate --help | sed -n "s/^  \([a-z][a-z ]*[a-z]\)   *.*/\1/p" | while read -r c; do grep -q "^\.B $c" moongate.1 || echo "$c"; done)" ""
if command -v groff >/dev/null; then is "and is good roff" "$(groff -man -Tutf8 -ww moongate.1 2>&1 >/dev/null)" ""; else skip "and is good roff" "no groff"; fi
if command -v man >/dev/null; then is "that man shows without a warning" "$(MANROFFOPT=-ww man --warnings=all -l moongate.1 2>&1 >/dev/null)" ""; else skip "that man shows without a warning" "no man"; fi

echo "1..$N"
exit $((BAD > 0))
