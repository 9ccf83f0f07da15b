#!/bin/sh
# Clients that leave streams that are billed in full anyway.
exec node "$(dirname "$0")/unattended.test.js"
