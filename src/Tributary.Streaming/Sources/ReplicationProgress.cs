using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// What the reading of a slot and the feedback about it share. Neither position ever goes back.
/// Threading: every member may be called from any thread; only the reader calls <see cref="Receive"/>, <see cref="BeginWait"/> and <see cref="EndWait"/>.
/// </summary>
internal sealed class ReplicationProgress(TimeProvider time)
{
    const long NotWaiting = long.MinValue;

    long _received;
    long _flushed;
    long _waitingSince = NotWaiting;

    public Lsn Received => new((ulong)Volatile.Read(ref _received));

    public Lsn Flushed => new((ulong)Volatile.Read(ref _flushed));

    /// <summary>How long the reader has been waiting for the server. Zero while it does not wait, so that a slow target never counts as a silent server.</summary>
    public TimeSpan Silence => Volatile.Read(ref _waitingSince) is var since and not NotWaiting ? time.GetElapsedTime(since) : TimeSpan.Zero;

    public void Receive(Lsn lsn)
    {
        if ((long)lsn.Value > _received)
            Volatile.Write(ref _received, (long)lsn.Value);
    }

    public void Flush(Lsn lsn)
    {
        var flushed = Volatile.Read(ref _flushed);
        while ((long)lsn.Value > flushed)
        {
            var before = Interlocked.CompareExchange(ref _flushed, (long)lsn.Value, flushed);
            if (before == flushed)
                return;
            flushed = before;
        }
    }

    public void BeginWait() => Volatile.Write(ref _waitingSince, time.GetTimestamp());

    public void EndWait() => Volatile.Write(ref _waitingSince, NotWaiting);
}
