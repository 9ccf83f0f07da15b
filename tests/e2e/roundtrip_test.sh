#!/bin/sh
# A chat client and each upstream dialect: what the model said comes back to it.
exec node "$(dirname "$0")/roundtrip.test.js"
