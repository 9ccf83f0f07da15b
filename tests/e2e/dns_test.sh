#!/bin/sh
# Names that resolve slowly (R31).
exec node "$(dirname "$0")/dns.test.js"
