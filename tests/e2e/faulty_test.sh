#!/bin/sh
# A provider plugin that does what none may: what it breaks, and what not.
exec node "$(dirname "$0")/faulty.test.js"
