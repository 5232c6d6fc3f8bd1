#!/bin/sh
# Accounts for it0 on @SERVER@ (@HOST@). it0 printed this script and never runs it: read it first.
#   sh harden.sh                 as root on the server: makes or updates the accounts
@USES@# It may be run again: it then only brings things back to what stands here.
set -eu
umask 022
