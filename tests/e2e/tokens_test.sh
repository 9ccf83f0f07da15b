#!/bin/sh
# Credentials that are exchanged for access tokens: Google's and Microsoft Entra's.
exec node "$(dirname "$0")/tokens.test.js"
