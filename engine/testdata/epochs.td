# Epochs: a clean restart keeps one, any other opens one.

=== A fresh store begins its first epoch silently
status
= keys=0 instances=0 revision=0 epoch=1000000 announced=0 outbox=0
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
status
= keys=1 instances=0 revision=1 epoch=1000000 announced=0 outbox=1

=== A clean close keeps the epoch and what was announced
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
kv.set {"key":"b","value":"1"}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true}
> {"revision":2,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1"}
announced 1
advance 10ms
reopen
status
= keys=2 instances=0 revision=2 epoch=1000000 announced=1 outbox=1
kv.set {"key":"c","value":"1"}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true}
> {"revision":3,"epoch":1000000,"op":"set","key":"c","previous_revision":0,"commit_revision":3,"time_ms":1000010,"value":"1"}
announced 3
reopen
status
= keys=3 instances=0 revision=3 epoch=1000000 announced=3 outbox=0
reopen
status
= keys=3 instances=0 revision=3 epoch=1000000 announced=3 outbox=0

=== A crash opens an epoch with a gap
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
announced 1
advance 10ms
crash
> {"revision":2,"epoch":1000010,"op":"changed","reason":"gap","previous_revision":0,"commit_revision":2,"time_ms":1000010}
status
= keys=1 instances=0 revision=2 epoch=1000010 announced=0 outbox=2
kv.get {"key":"a"}
= {"store_revision":2,"epoch":1000010,"key":"a","value":"1","revision":1,"created_revision":1}
kv.set {"key":"b","value":"1"}
= {"store_revision":3,"epoch":1000010,"revision":3,"created":true}
> {"revision":3,"epoch":1000010,"op":"set","key":"b","previous_revision":0,"commit_revision":3,"time_ms":1000010,"value":"1"}
advance 10ms
crash
> {"revision":4,"epoch":1000020,"op":"changed","reason":"gap","previous_revision":0,"commit_revision":4,"time_ms":1000020}
reopen
status
= keys=2 instances=0 revision=4 epoch=1000020 announced=0 outbox=4

=== A crash within the millisecond opens a higher epoch all the same
crash
> {"revision":1,"epoch":1000001,"op":"changed","reason":"gap","previous_revision":0,"commit_revision":1,"time_ms":1000000}
crash
> {"revision":2,"epoch":1000002,"op":"changed","reason":"gap","previous_revision":0,"commit_revision":2,"time_ms":1000000}
status
= keys=0 instances=0 revision=2 epoch=1000002 announced=0 outbox=2
