# Only the ledger is put back from an older copy, the sealed directory is not. docs/threat-model.md says that this is noticed.
# Expected: the node refuses to start, or warns in its log that acknowledged transactions are missing.
W="$TMP/older"
run() { setsid "$BIN/concordat" sandbox --workspace "$W" --port $FREE_PORT > "$TMP/older.log" 2>&1 < /dev/null & S=$!
        for i in $(seq 50); do grep -q 'The service is open' "$TMP/older.log" && return; kill -0 $S 2>/dev/null || return; sleep 0.2; done; }
stop() { kill -INT $S 2>/dev/null; wait $S; }
C="$BIN/concordat"; A="--url https://127.0.0.1:$FREE_PORT --workspace $W --as member0"
run; $C submit "$W/sample.csv" $A; stop
cp -a "$W/node0/ledger" "$TMP/ledger-then"
run; $C submit "$W/sample.csv" $A | tee "$TMP/answer"; stop            # this one is acknowledged
rm -r "$W/node0/ledger"; mv "$TMP/ledger-then" "$W/node0/ledger"
run; T=$(sed 's/.*transaction //' "$TMP/answer"); $C tx status "$T" $A # says Invalid, and nothing in the log says why
tail -n 4 "$W/node0/log"; stop
