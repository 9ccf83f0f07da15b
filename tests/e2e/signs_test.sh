#!/bin/sh
# Credentials and answers of many clients over shared connections.
exec node "$(dirname "$0")/signs.test.js"
