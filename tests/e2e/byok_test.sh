#!/bin/sh
# Accounts that customers have with providers themselves: order, fee, who may.
exec node "$(dirname "$0")/byok.test.js"
