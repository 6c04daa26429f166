using Tributary.Postgres;

namespace Tributary.Branching.Following;

/// <summary>Where production was when it was asked, so that what holds a position is known to be as new as that question. Safe from any thread.</summary>
internal sealed class KnownMoments
{
    /// <summary>Enough for a feed that is minutes behind, and for a burst of questions; of an older position only its age is less exact.</summary>
    const int KeptMax = 256;

    readonly Lock _lock = new();
    readonly Queue<MomentOfSource> _moments = [];

    public void Add(MomentOfSource moment)
    {
        lock (_lock)
        {
            _moments.Enqueue(moment);
            if (_moments.Count > KeptMax)
                _moments.Dequeue();
        }
    }

    /// <summary>The newest moment whose position is not beyond the given one; null when none is known.</summary>
    public DateTimeOffset? NewestUntil(Lsn position)
    {
        lock (_lock)
            return _moments.Where(moment => moment.Lsn <= position).Max(moment => (DateTimeOffset?)moment.At);
    }
}
