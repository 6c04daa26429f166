namespace Tributary.Streaming.Sources;

/// <summary>
/// Says when to let a moment pass before the next receive. A WAL sender sends each row by itself, and a reader that is woken for each spends many
/// times more on waking than on the row, at both sides. So while rows come in quick succession the reader sleeps a millisecond and takes all
/// that has come meanwhile. Rows that come one by one, as those of an application do, are never kept waiting.
/// </summary>
internal sealed class ReceivePacing(TimeProvider time)
{
    /// <summary>Long against the waking it saves, short against the time that a target takes for what comes in it.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);

    // Woken again within this time, the reader costs the sender more than it gains. Rows of 1,000 transactions a second are five times further apart.
    static readonly TimeSpan Quick = TimeSpan.FromMicroseconds(200);

    // So many quick receives in a row are a burst, not one transaction of a few messages.
    const int QuickReceives = 32;

    // Less than this after a pause is no burst any more: it is a dozen rows in the millisecond.
    const int BurstBytes = 2 * 1024;

    long _last;
    int _quick;

    /// <summary>Whether to sleep before the next receive.</summary>
    public bool IsBurst { get; private set; }

    /// <summary>Hears of a receive that has ended.</summary>
    /// <param name="isFull">Whether it filled its buffer, so that more is waiting already.</param>
    public void Received(int bytes, bool isFull)
    {
        var now = time.GetTimestamp();
        if (IsBurst)
        {
            IsBurst = bytes >= BurstBytes && !isFull;
            _quick = 0;
        }
        else
        {
            _quick = isFull || time.GetElapsedTime(_last, now) < Quick ? _quick + 1 : 0;
            IsBurst = _quick >= QuickReceives && !isFull;
        }

        _last = now;
    }
}
