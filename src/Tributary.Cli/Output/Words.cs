namespace Tributary.Cli.Output;

/// <summary>Amounts as people read them.</summary>
static class Words
{
    public static string Bytes(long bytes) => bytes switch
    {
        >= 1L << 40 => $"{bytes / (double)(1L << 40):0.0} TiB",
        >= 1L << 30 => $"{bytes / (double)(1L << 30):0.0} GiB",
        >= 1L << 20 => $"{bytes / (double)(1L << 20):0.0} MiB",
        >= 1L << 10 => $"{bytes / (double)(1L << 10):0.0} KiB",
        _ => $"{bytes} B",
    };

    public static string Milliseconds(double milliseconds) => milliseconds switch
    {
        < 10 => $"{milliseconds:0.0} ms",
        < 1000 => $"{milliseconds:0} ms",
        < 120_000 => $"{milliseconds / 1000:0.0} s",
        < 7_200_000 => $"{milliseconds / 60_000:0} min",
        _ => $"{milliseconds / 3_600_000:0.0} h",
    };

    public static string Name<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}
