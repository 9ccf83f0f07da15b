#!/bin/sh
# What a policy's plan asks for, kept: times, attempts, stickiness, money.
exec node "$(dirname "$0")/plan.test.js"
