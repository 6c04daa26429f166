using Microsoft.Extensions.Time.Testing;
using Tributary.Streaming.Sources;

namespace Tributary.Streaming.Tests.Sources;

public sealed class ReceivePacingTests
{
    readonly FakeTimeProvider _time = new();

    [Fact]
    public void Rows_that_come_one_by_one_are_never_kept_waiting()
    {
        var pacing = new ReceivePacing(_time);

        for (var i = 0; i < 1000; i++)
        {
            Receive(pacing, bytes: 150, afterMicroseconds: 300);
            Assert.False(pacing.IsBurst);
        }
    }

    [Fact]
    public void A_burst_is_taken_in_larger_pieces_until_it_ends()
    {
        var pacing = new ReceivePacing(_time);
        var receives = 0;
        while (!pacing.IsBurst && receives++ < 100)
            Receive(pacing, bytes: 150, afterMicroseconds: 20);
        Assert.InRange(receives, 10, 50);

        Receive(pacing, bytes: 30_000, afterMicroseconds: 1100);
        Assert.True(pacing.IsBurst);
        Receive(pacing, bytes: 300, afterMicroseconds: 1100);
        Assert.False(pacing.IsBurst);

        // One quick row after the burst is not the next one.
        Receive(pacing, bytes: 150, afterMicroseconds: 20);
        Assert.False(pacing.IsBurst);
    }

    [Fact]
    public void What_is_waiting_already_is_taken_at_once()
    {
        var pacing = new ReceivePacing(_time);
        for (var i = 0; i < 100; i++)
        {
            _time.Advance(TimeSpan.FromMicroseconds(100));
            pacing.Received(128 * 1024, isFull: true);
            Assert.False(pacing.IsBurst);
        }
    }

    void Receive(ReceivePacing pacing, int bytes, int afterMicroseconds)
    {
        _time.Advance(TimeSpan.FromMicroseconds(afterMicroseconds));
        pacing.Received(bytes, isFull: false);
    }
}
