#!/bin/sh
# @langchain/openai.
exec node "$(dirname "$0")/clients_langchain.test.js"
