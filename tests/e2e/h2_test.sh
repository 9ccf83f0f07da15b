#!/bin/sh
# An upstream that speaks HTTP/2 over TLS.
exec node "$(dirname "$0")/h2.test.js"
