#!/bin/sh
# What a backtest says where latency, limits and budgets would have been others; and what explain asks a running gateway.
exec node "$(dirname "$0")/backtest.test.js"
