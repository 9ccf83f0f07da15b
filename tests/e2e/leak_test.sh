#!/bin/sh
# Nothing is kept of mixed requests.  MOONGATE_REQUESTS: how many (1000);
# MOONGATE_VALGRIND: not empty: under memcheck, which is SKIP where there is none.
if [ -n "$MOONGATE_VALGRIND" ]; then
	command -v valgrind >/dev/null || { echo "1..0 # SKIP valgrind is missing"; exit 0; }
	MOONGATE_UNDER="valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible
		--errors-for-leak-kinds=definite,indirect,possible --keep-debuginfo=yes --child-silent-after-fork=yes
		--fair-sched=yes --num-callers=20 --error-exitcode=66"
	# Words between single blanks.
	MOONGATE_UNDER=$(echo $MOONGATE_UNDER)
	export MOONGATE_UNDER
fi
exec node "$(dirname "$0")/leak.test.js"
