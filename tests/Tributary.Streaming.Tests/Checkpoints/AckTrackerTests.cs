using Tributary.Postgres;
using Tributary.Streaming.Checkpoints;

namespace Tributary.Streaming.Tests.Checkpoints;

public sealed class AckTrackerTests
{
    [Fact]
    public void Never_goes_back_nor_past_what_is_not_durable()
    {
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var confirmed = new List<Lsn>();
            var tracker = new AckTracker(new Lsn(10), confirmed.Add);
            var inFlight = new Queue<ulong>();
            var arriving = false;
            var xid = 0u;
            ulong next = 10, durable = 10;
            for (var step = 0; step < 200; step++)
            {
                switch (random.Next(4))
                {
                    case 0 when !arriving:
                        tracker.Enter((uint)step + 1);
                        xid = (uint)step + 1;
                        arriving = true;
                        break;
                    case 1 when arriving:
                        inFlight.Enqueue(next += (ulong)random.Next(1, 50));
                        tracker.Receive(xid, new Lsn(next));
                        arriving = false;
                        break;
                    case 2 when inFlight.Count > 0:
                        for (var take = random.Next(1, inFlight.Count + 1); take > 0; take--)
                            durable = inFlight.Dequeue();
                        tracker.Durable(new Lsn(durable));
                        break;
                    case 3:
                        tracker.Durable(new Lsn((ulong)random.NextInt64((long)durable + 1)));
                        break;
                }

                Assert.Equal(!arriving && inFlight.Count == 0, tracker.IsIdle());
                Assert.Equal(durable, tracker.Confirmed.Value);
            }

            Assert.Equal(confirmed.Order(), confirmed);
            Assert.Equal(confirmed.Distinct().Count(), confirmed.Count);
        }
    }
}
