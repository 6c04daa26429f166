using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Tributary.Contracts;
using Tributary.Postgres;

namespace Tributary.Server.Configuration;

/// <summary>Turns located text into values; what does not read is reported, and the fallback is answered so that reading goes on.</summary>
sealed class ScalarReader(ReadContext context)
{
    public string Matching(Located? value, Regex pattern, string expected, string fallback)
    {
        if (value is not { } located || pattern.IsMatch(located.Text))
            return value?.Text ?? fallback;
        context.Add(located, $"'{located.Shown}' is not {expected}");
        return fallback;
    }

    public string OneOf(Located? value, IReadOnlyList<string> allowed, string fallback)
    {
        if (value is not { } located || allowed.Contains(located.Text))
            return value?.Text ?? fallback;
        context.Add(located, $"'{located.Shown}' is not one of {string.Join(", ", allowed)}");
        return fallback;
    }

    public long Bytes(Located? value, long least, long fallback)
    {
        if (value is not { } located)
            return fallback;
        if (!ScalarText.TryBytes(located.Text, out var bytes))
            context.Add(located, $"'{located.Shown}' is not a size; write a whole number and KiB, MiB, GiB or TiB, for example 64GiB");
        else if (bytes < least)
            context.Add(located, $"'{located.Shown}' is too small; at least {least >> 20}MiB is needed");
        else
            return bytes;
        return fallback;
    }

    public TimeSpan Duration(Located? value, TimeSpan least, TimeSpan fallback)
    {
        if (value is not { } located)
            return fallback;
        if (!DurationText.TryParse(located.Text, out var duration))
            context.Add(located, $"'{located.Shown}' is not a duration; write a whole number and ms, s, m, h or d, for example 15s");
        else if (duration < least)
            context.Add(located, $"'{located.Shown}' is too short; at least {least.TotalMilliseconds:0}ms is needed");
        else
            return duration;
        return fallback;
    }

    public int Number(Located? value, int least, int most, int fallback)
    {
        if (value is not { } located)
            return fallback;
        if (int.TryParse(located.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most)
            return number;
        context.Add(located, $"'{located.Shown}' is not a whole number from {least} to {most}");
        return fallback;
    }

    public double Fraction(Located? value, double least, double most, double fallback)
    {
        if (value is not { } located)
            return fallback;
        if (double.TryParse(located.Text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most)
            return number;
        context.Add(located, string.Create(CultureInfo.InvariantCulture, $"'{located.Shown}' is not a number from {least} to {most}, for example 0.5"));
        return fallback;
    }

    public IPEndPoint? EndPoint(Located? value, IPEndPoint? fallback)
    {
        if (value is not { } located)
            return fallback;
        if (ScalarText.TryEndPoint(located.Text, out var endPoint))
            return endPoint;
        context.Add(located, $"'{located.Shown}' is not an address and port, for example 127.0.0.1:6432 or [::1]:6432");
        return fallback;
    }

    public Uri? HttpUrl(Located? value)
    {
        if (value is not { } located)
            return null;
        if (Uri.TryCreate(located.Text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https")
            return url;
        context.Add(located, $"'{located.Shown}' is not a URL that begins with http:// or https://");
        return null;
    }

    public PostgresUrl? Url(Located value)
    {
        if (PostgresUrl.TryParse(value.Text, out var url, out var error))
            return url;
        context.Add(value, error);
        return null;
    }

    /// <summary>A file that must be there; a relative path is taken from the working directory.</summary>
    public string? ExistingFile(Located? value)
    {
        if (value is not { } located)
            return null;
        if (File.Exists(located.Text))
            return Path.GetFullPath(located.Text);
        context.Add(located, $"there is no file '{located.Shown}'");
        return null;
    }

    /// <summary>A URL given by itself or by the name of a file whose first line it is; exactly one of the two.</summary>
    public PostgresUrl? UrlOrFile(YamlSection section)
    {
        var url = section.Scalar("url");
        var file = section.Scalar("url-file");
        if (url is not null && file is not null)
            context.Add(file.Value, "give url or url-file, not both");
        if (url is { } given)
            return Url(given);
        if (file is not { } named)
        {
            // A key that is there but did not read has its own error already.
            if (!section.Has("url") && !section.Has("url-file"))
                context.Add(section.Here with { Path = section.KeyPath("url") }, "a Postgres URL is needed here (url, or url-file for a file that holds it)");
            return null;
        }

        try
        {
            return Url(named with { Text = File.ReadLines(named.Text).FirstOrDefault("").Trim() });
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            context.Add(named, $"cannot read '{named.Shown}': {exception.Message}");
            return null;
        }
    }
}
