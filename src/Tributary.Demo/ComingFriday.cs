namespace Tributary.Demo;

/// <summary>The Friday that a plan made now can still aim at.</summary>
public static class ComingFriday
{
    /// <summary>A price needs some days to work: a Friday that ends sooner than this gives way to the next.</summary>
    public static readonly TimeSpan LeadTime = TimeSpan.FromDays(3);

    /// <summary>The end (midnight UTC) of the first Friday that lies at least <see cref="LeadTime"/> after <paramref name="now"/>.</summary>
    public static DateTimeOffset EndAfter(DateTimeOffset now)
    {
        var earliest = now.ToUniversalTime() + LeadTime;
        var midnight = new DateTimeOffset(earliest.Date, TimeSpan.Zero);
        if (midnight < earliest)
            midnight = midnight.AddDays(1);
        while (midnight.DayOfWeek != DayOfWeek.Saturday)
            midnight = midnight.AddDays(1);
        return midnight;
    }
}
