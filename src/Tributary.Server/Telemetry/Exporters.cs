using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Tributary.Server.Telemetry;

/// <summary>
/// Collects the meters and spans of a server: metrics for whoever scrapes them, and both for a collector when one is configured.
/// Without a collector no span is ever made.
/// </summary>
sealed class Exporters : IDisposable
{
    static readonly string[] Meters = ["Tributary.Streaming", ServerMeter.GatewayName, ServerMeter.BranchingName];

    readonly TracerProvider? _traces;

    Exporters(MeterProvider metrics, TracerProvider? traces) => (Metrics, _traces) = (metrics, traces);

    public MeterProvider Metrics { get; }

    /// <param name="own">The figures of this server; null where there is but a stream. Those of another one in the same process have the same names and would take their place.</param>
    /// <param name="otlpEndpoint">A collector that speaks OTLP; null for none. The protocol, headers and time limits come from the standard OTEL_EXPORTER_OTLP_… variables.</param>
    public static Exporters Start(ServerMeter? own, Uri? otlpEndpoint)
    {
        var metrics = Sdk.CreateMeterProviderBuilder().ConfigureResource(Describe).AddMeter(Meters)
            .AddView(instrument => own is not null && own.IsOfAnother(instrument.Meter) ? MetricStreamConfiguration.Drop : null).AddPrometheusExporter();
        if (otlpEndpoint is null)
            return new Exporters(metrics.Build(), null);
        metrics.AddOtlpExporter(options => Direct(options, otlpEndpoint, "v1/metrics"));
        var traces = Sdk.CreateTracerProviderBuilder().ConfigureResource(Describe).AddSource("Tributary.*")
            .AddOtlpExporter(options => Direct(options, otlpEndpoint, "v1/traces"));
        return new Exporters(metrics.Build(), traces.Build());
    }

    public void Dispose()
    {
        Metrics.Dispose();
        _traces?.Dispose();
    }

    // Over HTTP each signal has a path of its own, which the exporter adds only to an endpoint that it has read by itself:
    // https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp
    static void Direct(OtlpExporterOptions options, Uri endpoint, string path) =>
        options.Endpoint = options.Protocol == OtlpExportProtocol.HttpProtobuf ? new Uri($"{endpoint.AbsoluteUri.TrimEnd('/')}/{path}") : endpoint;

    static void Describe(ResourceBuilder resource) => resource.AddService("tributary", serviceVersion: ProductVersion.Text);
}
