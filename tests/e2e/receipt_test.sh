#!/bin/sh
# Receipts: signed, whole, and of everybody who was sent something.
exec node "$(dirname "$0")/receipt.test.js"
