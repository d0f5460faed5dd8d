# Batches: all or none.

=== Each op that changes something has its own revision, event and result
batch.apply {"ops":[{"op":"kv.set","key":"a","value":"1"},{"op":"kv.delete","key":"none"},{"op":"kv.increment","key":"n","by":2},{"op":"svc.register","name":"web","id":"1","ttl_ms":100},{"op":"kv.touch","key":"a","ttl_ms":50}]}
= {"store_revision":3,"epoch":1000000,"revision":3,"results":[{"revision":1,"created":true},{"revision":0,"deleted":false},{"revision":2,"created":true,"value":2},{"revision":3,"id":"1","created":true,"expires_at_ms":1000100},{"revision":1,"expires_at_ms":1000050}]}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"1"}
> {"revision":2,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"2"}
> {"revision":3,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":3,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":3,"created_revision":3}}
batch.apply {"ops":[{"op":"svc.deregister","name":"web","id":"1"},{"op":"kv.delete","key":"a"}]}
= {"store_revision":5,"epoch":1000000,"revision":5,"results":[{"revision":4,"deregistered":true},{"revision":5,"deleted":true}]}
> {"revision":4,"epoch":1000000,"op":"deregister","name":"web","id":"1","previous_revision":3,"commit_revision":5,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":3,"created_revision":3}}
> {"revision":5,"epoch":1000000,"op":"delete","key":"a","previous_revision":1,"commit_revision":5,"time_ms":1000000}
status
= keys=1 instances=0 revision=5 epoch=1000000 announced=0 outbox=5

=== Ops apply one after the other, also on one key
batch.apply {"ops":[{"op":"kv.set","key":"a","value":"1"},{"op":"kv.set","key":"a","value":"2"},{"op":"kv.delete","key":"a"},{"op":"kv.increment","key":"a"},{"op":"kv.increment","key":"a"}]}
= {"store_revision":5,"epoch":1000000,"revision":5,"results":[{"revision":1,"created":true},{"revision":2,"created":false},{"revision":3,"deleted":true},{"revision":4,"created":true,"value":1},{"revision":5,"created":false,"value":2}]}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":5,"time_ms":1000000,"value":"1"}
> {"revision":2,"epoch":1000000,"op":"set","key":"a","previous_revision":1,"commit_revision":5,"time_ms":1000000,"value":"2"}
> {"revision":3,"epoch":1000000,"op":"delete","key":"a","previous_revision":2,"commit_revision":5,"time_ms":1000000}
> {"revision":4,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":5,"time_ms":1000000,"value":"1"}
> {"revision":5,"epoch":1000000,"op":"set","key":"a","previous_revision":4,"commit_revision":5,"time_ms":1000000,"value":"2"}
kv.get {"key":"a"}
= {"store_revision":5,"epoch":1000000,"key":"a","value":"2","revision":5,"created_revision":4}

=== Conditions look at the state before the batch
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
batch.apply {"ops":[{"op":"kv.delete","key":"a","if_revision":1},{"op":"kv.set","key":"a","value":"2","if_revision":1}]}
= {"store_revision":3,"epoch":1000000,"revision":3,"results":[{"revision":2,"deleted":true},{"revision":3,"created":true}]}
> {"revision":2,"epoch":1000000,"op":"delete","key":"a","previous_revision":1,"commit_revision":3,"time_ms":1000000}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"2"}
batch.apply {"ops":[{"op":"kv.set","key":"b","value":"1","if_revision":0},{"op":"kv.set","key":"b","value":"2","if_revision":0}]}
= {"store_revision":5,"epoch":1000000,"revision":5,"results":[{"revision":4,"created":true},{"revision":5,"created":false}]}
> {"revision":4,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":5,"time_ms":1000000,"value":"1"}
> {"revision":5,"epoch":1000000,"op":"set","key":"b","previous_revision":4,"commit_revision":5,"time_ms":1000000,"value":"2"}

=== One miss fails all and names the first
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
svc.register {"name":"web","id":"1"}
= {"store_revision":2,"epoch":1000000,"revision":2,"id":"1","created":true}
> {"revision":2,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":2,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","revision":2,"created_revision":2}}
batch.apply {"ops":[{"op":"kv.set","key":"b","value":"1"}],"if":[{"key":"a","revision":1},{"name":"web","id":"1","revision":1},{"key":"b","revision":3}]}
! {"store_revision":2,"epoch":1000000,"code":"conflict","message":"if[1]: instance \"1\" of \"web\" has revision 2, not 1","temporary":false,"field":"if[1]","index":1,"name":"web","id":"1","revision":2}
batch.apply {"ops":[{"op":"kv.set","key":"b","value":"1"},{"op":"kv.set","key":"a","value":"1","if_revision":0},{"op":"kv.set","key":"b","value":"1","if_revision":9}]}
! {"store_revision":2,"epoch":1000000,"code":"conflict","message":"ops[1]: \"a\" has revision 1, not 0","temporary":false,"field":"ops[1]","index":1,"key":"a","revision":1}
batch.apply {"ops":[{"op":"svc.register","name":"web","id":"1","if_revision":0,"note":"x"}]}
! {"store_revision":2,"epoch":1000000,"code":"conflict","message":"ops[0]: instance \"1\" of \"web\" has revision 2, not 0","temporary":false,"field":"ops[0]","index":0,"name":"web","id":"1","revision":2}
batch.apply {"ops":[{"op":"kv.set","key":"b","value":"1"}],"if":[{"key":"a","revision":1},{"name":"web","id":"1","revision":2},{"key":"b","revision":0}]}
= {"store_revision":3,"epoch":1000000,"revision":3,"results":[{"revision":3,"created":true}]}
> {"revision":3,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"1"}
kv.list {}
= {"store_revision":3,"epoch":1000000,"entries":[{"key":"a","revision":1,"created_revision":1},{"key":"b","revision":3,"created_revision":3}]}
status
= keys=2 instances=1 revision=3 epoch=1000000 announced=0 outbox=3

=== An op that fails takes back those before it
kv.set {"key":"s","value":"text"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"s","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"text"}
kv.set {"key":"k","value":"old","ttl_ms":100}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true,"expires_at_ms":1000100}
> {"revision":2,"epoch":1000000,"op":"set","key":"k","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"old","ttl_ms":100,"expires_at_ms":1000100}
svc.register {"name":"web","id":"1","note":"old"}
= {"store_revision":3,"epoch":1000000,"revision":3,"id":"1","created":true}
> {"revision":3,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":3,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","note":"old","revision":3,"created_revision":3}}
batch.apply {"ops":[{"op":"kv.set","key":"k","value":"new"},{"op":"kv.set","key":"new","value":"1"},{"op":"svc.deregister","name":"web","id":"1"},{"op":"kv.delete","key":"k"},{"op":"kv.increment","key":"s"}]}
! {"store_revision":3,"epoch":1000000,"code":"invalid","message":"ops[4]: key: the value of \"s\" is not a whole number of 64 bits","temporary":false,"field":"ops[4].key","index":4}
batch.apply {"ops":[{"op":"kv.set","key":"k","value":"new"},{"op":"kv.touch","key":"none"}]}
! {"store_revision":3,"epoch":1000000,"code":"not_found","message":"ops[1]: there is no key \"none\"","temporary":false,"field":"ops[1]","index":1,"key":"none"}
batch.apply {"ops":[{"op":"kv.touch","key":"k","ttl_ms":5000},{"op":"kv.increment","key":"k"}]}
! {"store_revision":3,"epoch":1000000,"code":"invalid","message":"ops[1]: key: the value of \"k\" is not a whole number of 64 bits","temporary":false,"field":"ops[1].key","index":1}
kv.list {"return_values":true}
= {"store_revision":3,"epoch":1000000,"entries":[{"key":"k","value":"old","revision":2,"created_revision":2,"ttl_ms":100,"expires_at_ms":1000100},{"key":"s","value":"text","revision":1,"created_revision":1}]}
svc.get {"name":"web"}
= {"store_revision":3,"epoch":1000000,"instances":[{"name":"web","id":"1","status":"passing","note":"old","revision":3,"created_revision":3}]}
status
= keys=2 instances=1 revision=3 epoch=1000000 announced=0 outbox=3

=== A batch that changes nothing takes no revision
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
batch.apply {"ops":[{"op":"kv.delete","key":"none"}]}
= {"store_revision":1,"epoch":1000000,"revision":0,"results":[{"revision":0,"deleted":false}]}
batch.apply {"ops":[{"op":"kv.delete","key":"none"},{"op":"kv.touch","key":"a"}]}
= {"store_revision":1,"epoch":1000000,"revision":1,"results":[{"revision":0,"deleted":false},{"revision":1}]}
batch.apply {"ops":[{"op":"kv.touch","key":"a","ttl_ms":100},{"op":"kv.delete","key":"none"}]}
= {"store_revision":1,"epoch":1000000,"revision":0,"results":[{"revision":1,"expires_at_ms":1000100},{"revision":0,"deleted":false}]}
kv.get {"key":"a"}
= {"store_revision":1,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1,"ttl_ms":100,"expires_at_ms":1000100}

=== What a batch must not be
batch.apply {"ops":[]}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"ops: must not be empty","temporary":false,"field":"ops"}
batch.apply {}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"ops: is required","temporary":false,"field":"ops"}
batch.apply {"ops":[{"op":"kv.clear","prefix":"a"}]}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"ops[0]: op: is kv.clear, which no list of ops takes","temporary":false,"field":"ops[0].op","index":0}
batch.apply {"ops":[{"op":"svc.heartbeat","name":"web","id":"1"}]}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"ops[0]: op: is svc.heartbeat, which no list of ops takes","temporary":false,"field":"ops[0].op","index":0}
batch.apply {"ops":[{"op":"batch.apply","ops":[]}]}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"ops[0]: op: is batch.apply, which no list of ops takes","temporary":false,"field":"ops[0].op","index":0}
batch.apply {"ops":[{"op":"kv.set","key":"a","value":"1","return_previous":true}]}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"ops[0]: return_previous: is not for batches","temporary":false,"field":"ops[0].return_previous","index":0}
batch.apply {"ops":[{"op":"kv.set","key":"a","value":"1"},{"op":"kv.set","key":"","value":"1"}]}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"ops[1]: key: must not be empty","temporary":false,"field":"ops[1].key","index":1}
status
= keys=0 instances=0 revision=0 epoch=1000000 announced=0 outbox=0
