# Message ids: a repeat is not applied again.

=== A repeat answers with the first result, without previous
kv.set {"key":"a","value":"0"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"0"}
id=x kv.set {"key":"a","value":"1","ttl_ms":1000,"return_previous":true}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false,"expires_at_ms":1001000,"previous":{"key":"a","value":"0","revision":1,"created_revision":1}}
> {"revision":2,"epoch":1000000,"op":"set","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000000,"value":"1","ttl_ms":1000,"expires_at_ms":1001000}
advance 10ms
id=x kv.set {"key":"a","value":"1","ttl_ms":1000,"return_previous":true}
= {"store_revision":2,"epoch":1000000,"revision":2,"duplicate":true,"created":false,"expires_at_ms":1001000}
id=x kv.set {"key":"a","value":"2","ttl_ms":1000,"return_previous":true}
! {"store_revision":2,"epoch":1000000,"code":"invalid","message":"Nats-Msg-Id: was used for another payload on kv.set","temporary":false,"field":"Nats-Msg-Id"}
id=y kv.set {"key":"a","value":"2"}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":false}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":2,"commit_revision":3,"time_ms":1000010,"value":"2"}
id=x kv.set {"key":"a","value":"1","ttl_ms":1000,"return_previous":true}
= {"store_revision":3,"epoch":1000000,"revision":2,"duplicate":true,"created":false,"expires_at_ms":1001000}
id=d kv.delete {"key":"a","return_previous":true}
= {"store_revision":4,"epoch":1000000,"revision":4,"deleted":true,"previous":{"key":"a","value":"2","revision":3,"created_revision":1}}
> {"revision":4,"epoch":1000000,"op":"delete","key":"a","previous_revision":3,"commit_revision":4,"time_ms":1000010}
id=d kv.delete {"key":"a","return_previous":true}
= {"store_revision":4,"epoch":1000000,"revision":4,"duplicate":true,"deleted":true}

=== An id is looked up by subject
id=x kv.increment {"key":"n"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"value":1}
> {"revision":1,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
id=x on=kv.increment.n kv.increment {"key":"n"}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false,"value":2}
> {"revision":2,"epoch":1000000,"op":"set","key":"n","previous_revision":1,"commit_revision":2,"time_ms":1000000,"value":"2"}
id=x on=kv.increment.n kv.increment {"key":"n"}
= {"store_revision":2,"epoch":1000000,"revision":2,"duplicate":true,"created":false,"value":2}
id=x kv.increment {"key":"n"}
= {"store_revision":2,"epoch":1000000,"revision":1,"duplicate":true,"created":true,"value":1}
id=x kv.delete {"key":"n"}
= {"store_revision":3,"epoch":1000000,"revision":3,"deleted":true}
> {"revision":3,"epoch":1000000,"op":"delete","key":"n","previous_revision":2,"commit_revision":3,"time_ms":1000000}

=== What changed nothing is remembered, what was refused is not
id=x kv.delete {"key":"a"}
= {"store_revision":0,"epoch":1000000,"revision":0,"deleted":false}
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
id=x kv.delete {"key":"a"}
= {"store_revision":1,"epoch":1000000,"revision":0,"duplicate":true,"deleted":false}
id=y kv.set {"key":"a","value":"2","if_revision":9}
! {"store_revision":1,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 1, not 9","temporary":false,"key":"a","revision":1}
kv.delete {"key":"a"}
= {"store_revision":2,"epoch":1000000,"revision":2,"deleted":true}
> {"revision":2,"epoch":1000000,"op":"delete","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000000}
id=y kv.set {"key":"a","value":"2","if_revision":0}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"2"}
id=y kv.set {"key":"a","value":"2","if_revision":0}
= {"store_revision":3,"epoch":1000000,"revision":3,"duplicate":true,"created":true}
id=t kv.touch {"key":"a","ttl_ms":100}
= {"store_revision":3,"epoch":1000000,"revision":3,"expires_at_ms":1000100}
advance 50ms
id=t kv.touch {"key":"a","ttl_ms":100}
= {"store_revision":3,"epoch":1000000,"revision":3,"duplicate":true,"expires_at_ms":1000100}

=== A batch's repeat has all results
id=x batch.apply {"ops":[{"op":"kv.increment","key":"n"},{"op":"kv.delete","key":"a"},{"op":"svc.register","name":"web","id":"1","ttl_ms":50}]}
= {"store_revision":2,"epoch":1000000,"revision":2,"results":[{"revision":1,"created":true,"value":1},{"revision":0,"deleted":false},{"revision":2,"id":"1","created":true,"expires_at_ms":1000050}]}
> {"revision":1,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1"}
> {"revision":2,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":2,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":50,"expires_at_ms":1000050,"revision":2,"created_revision":2}}
id=x batch.apply {"ops":[{"op":"kv.increment","key":"n"},{"op":"kv.delete","key":"a"},{"op":"svc.register","name":"web","id":"1","ttl_ms":50}]}
= {"store_revision":2,"epoch":1000000,"revision":2,"duplicate":true,"results":[{"revision":1,"created":true,"value":1},{"revision":0,"deleted":false},{"revision":2,"id":"1","created":true,"expires_at_ms":1000050}]}

=== Each command's repeat is a repeat
id=1 kv.increment {"key":"n","by":5}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"value":5}
> {"revision":1,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"5"}
id=1 kv.increment {"key":"n","by":5}
= {"store_revision":1,"epoch":1000000,"revision":1,"duplicate":true,"created":true,"value":5}
id=2 kv.clear {"prefix":"n"}
= {"store_revision":2,"epoch":1000000,"revision":2,"deleted":1,"more":false}
> {"revision":2,"epoch":1000000,"op":"delete","key":"n","previous_revision":1,"commit_revision":2,"time_ms":1000000}
kv.set {"key":"n","value":"1"}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true}
> {"revision":3,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"1"}
id=2 kv.clear {"prefix":"n"}
= {"store_revision":3,"epoch":1000000,"revision":2,"duplicate":true,"deleted":1,"more":false}
id=3 svc.register {"name":"web","id":"1"}
= {"store_revision":4,"epoch":1000000,"revision":4,"id":"1","created":true}
> {"revision":4,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":4,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","revision":4,"created_revision":4}}
id=3 svc.register {"name":"web","id":"1"}
= {"store_revision":4,"epoch":1000000,"revision":4,"duplicate":true,"id":"1","created":true}
id=4 svc.deregister {"name":"web","id":"1"}
= {"store_revision":5,"epoch":1000000,"revision":5,"deregistered":true}
> {"revision":5,"epoch":1000000,"op":"deregister","name":"web","id":"1","previous_revision":4,"commit_revision":5,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","revision":4,"created_revision":4}}
id=4 svc.deregister {"name":"web","id":"1"}
= {"store_revision":5,"epoch":1000000,"revision":5,"duplicate":true,"deregistered":true}

=== Heartbeats that only renew ignore ids, those that change something do not
svc.register {"name":"web","id":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"id":"1","created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000100,"revision":1,"created_revision":1}}
id=x svc.heartbeat {"name":"web","id":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000100}
advance 50ms
id=x svc.heartbeat {"name":"web","id":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000150}
id=y svc.heartbeat {"name":"web","id":"1","status":"warning"}
= {"store_revision":2,"epoch":1000000,"revision":2,"expires_at_ms":1000150}
> {"revision":2,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":1,"commit_revision":2,"time_ms":1000050,"instance":{"name":"web","id":"1","status":"warning","ttl_ms":100,"expires_at_ms":1000150,"revision":2,"created_revision":1}}
svc.heartbeat {"name":"web","id":"1","status":"passing"}
= {"store_revision":3,"epoch":1000000,"revision":3,"expires_at_ms":1000150}
> {"revision":3,"epoch":1000000,"op":"register","name":"web","id":"1","previous_revision":2,"commit_revision":3,"time_ms":1000050,"instance":{"name":"web","id":"1","status":"passing","ttl_ms":100,"expires_at_ms":1000150,"revision":3,"created_revision":1}}
id=y svc.heartbeat {"name":"web","id":"1","status":"warning"}
= {"store_revision":3,"epoch":1000000,"revision":2,"duplicate":true,"expires_at_ms":1000150}

=== An id is kept for two minutes, also through a restart
id=x kv.increment {"key":"n"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"value":1}
> {"revision":1,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
advance 1m
id=y kv.increment {"key":"n"}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false,"value":2}
> {"revision":2,"epoch":1000000,"op":"set","key":"n","previous_revision":1,"commit_revision":2,"time_ms":1060000,"value":"2"}
reopen
id=x kv.increment {"key":"n"}
= {"store_revision":2,"epoch":1000000,"revision":1,"duplicate":true,"created":true,"value":1}
advance 59999ms
id=x kv.increment {"key":"n"}
= {"store_revision":2,"epoch":1000000,"revision":1,"duplicate":true,"created":true,"value":1}
id=x kv.increment {"key":"other"}
! {"store_revision":2,"epoch":1000000,"code":"invalid","message":"Nats-Msg-Id: was used for another payload on kv.increment","temporary":false,"field":"Nats-Msg-Id"}
advance 1ms
id=x kv.increment {"key":"n"}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":false,"value":3}
> {"revision":3,"epoch":1000000,"op":"set","key":"n","previous_revision":2,"commit_revision":3,"time_ms":1120000,"value":"3"}
id=y kv.increment {"key":"n"}
= {"store_revision":3,"epoch":1000000,"revision":2,"duplicate":true,"created":false,"value":2}
crash
> {"revision":4,"epoch":1120000,"op":"changed","reason":"gap","previous_revision":0,"commit_revision":4,"time_ms":1120000}
id=x kv.increment {"key":"n"}
= {"store_revision":4,"epoch":1120000,"revision":3,"duplicate":true,"created":false,"value":3}
advance 1m
id=y kv.increment {"key":"n"}
= {"store_revision":5,"epoch":1120000,"revision":5,"created":false,"value":4}
> {"revision":5,"epoch":1120000,"op":"set","key":"n","previous_revision":3,"commit_revision":5,"time_ms":1180000,"value":"4"}
id=x kv.increment {"key":"n"}
= {"store_revision":5,"epoch":1120000,"revision":3,"duplicate":true,"created":false,"value":3}
advance 1m
id=x kv.increment {"key":"n"}
= {"store_revision":6,"epoch":1120000,"revision":6,"created":false,"value":5}
> {"revision":6,"epoch":1120000,"op":"set","key":"n","previous_revision":5,"commit_revision":6,"time_ms":1240000,"value":"5"}

=== A repeat does not meet deadlines
id=x kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
advance 10ms
id=x kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"duplicate":true,"created":true,"expires_at_ms":1000010}
kv.get {"key":"a"}
! {"store_revision":1,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
kv.set {"key":"a","value":"1","if_revision":0}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true}
> {"revision":2,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":3,"time_ms":1000010}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":3,"time_ms":1000010,"value":"1"}
