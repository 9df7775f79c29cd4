// A picture, computed row by row on the workers: picture [--size WxH] out.png
//
// It shows a valley of the Mandelbrot set as if it were carved in metal: the colour follows the
// time in which a point escapes, the light falls on the slope of the field around the set.
#include <achilles/pool.hpp>
#include <cmath>
#include <complex>
#include <cstdio>
#include <iostream>
#include <numbers>

#include "png.hpp"

using Complex = std::complex<double>;
struct Colour {
  double red, green, blue;
};
// What all rows share. Plain data: a lambda may capture it.
struct Scene {
  int width, height;
  double centre_x = -0.74767, centre_y = 0.10013, breadth = 0.0013;
};

// How bright the slope is with the light from the upper left.
double shade(Complex slope) {
  const Complex light = std::polar(1.0, 0.75 * std::numbers::pi);
  constexpr double kLightHeight = 1.5;
  const double facing = slope.real() * light.real() + slope.imag() * light.imag() + kLightHeight;
  return 0.15 + 0.85 * std::max(facing / (1 + kLightHeight), 0.0);
}

Colour colour_of_point(double cx, double cy) {
  // Plain numbers: std::complex looks out for infinities in each product, which takes time.
  double x = 0, y = 0, dx = 0, dy = 0;  // z, and its derivative by c.
  for (int step = 1; step <= 4000; ++step) {
    const double dx_next = 2 * (x * dx - y * dy) + 1;
    dy = 2 * (x * dy + y * dx);
    dx = dx_next;
    const double x_next = x * x - y * y + cx;
    y = 2 * x * y + cy;
    x = x_next;
    if (x * x + y * y < 1e6) continue;
    const Complex slope = Complex(x, y) / Complex(dx, dy);
    const double light = shade(slope / std::abs(slope));
    // The fraction of a step, so that colours flow.
    const double time = step - std::log2(std::log(std::hypot(x, y)));
    const auto wave = [&](double phase) {
      return light * (0.5 + 0.5 * std::cos(0.45 * std::sqrt(time) + phase));
    };
    return {wave(0.0), wave(0.6), wave(1.3)};
  }
  return {0.02, 0.02, 0.04};  // Inside the set.
}

std::vector<std::uint8_t> row_of_pixels(const Scene& scene, int row) {
  constexpr int kSamples = 3;  // Each way: smooth edges.
  const double step = scene.breadth / scene.width / kSamples;
  std::vector<std::uint8_t> pixels;
  for (int column = 0; column < scene.width; ++column) {
    Colour sum{};
    for (int sample = 0; sample < kSamples * kSamples; ++sample) {
      const double x = column * kSamples + sample % kSamples - 0.5 * scene.width * kSamples;
      const double y = row * kSamples + sample / kSamples - 0.5 * scene.height * kSamples;
      const Colour colour = colour_of_point(scene.centre_x + x * step, scene.centre_y - y * step);
      sum.red += colour.red, sum.green += colour.green, sum.blue += colour.blue;
    }
    for (const double part : {sum.red, sum.green, sum.blue}) {
      const double mean = std::min(part / (kSamples * kSamples), 1.0);
      pixels.push_back(static_cast<std::uint8_t>(255 * std::pow(mean, 1 / 1.5)));
    }
  }
  return pixels;
}

int main(int argc, char** argv) {
  Scene scene{.width = 1280, .height = 800};
  std::string path;
  bool understood = true;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--size" && i + 1 < argc) {
      understood = std::sscanf(argv[++i], "%dx%d", &scene.width, &scene.height) == 2;
    } else if (path.empty() && !argument.starts_with("--")) {
      path = argument;
    } else {
      understood = false;
    }
  }
  if (!understood || path.empty() || scene.width < 1 || scene.height < 1) {
    std::cerr << "usage: picture [--size WxH] out.png\n";
    return 2;
  }

  achilles::Pool pool;
  PngWriter png(path, scene.width, scene.height);
  // Some rows take far longer than others, and are done in whatever order; imap puts them right.
  for (const auto& pixels : pool.imap([scene](int row) { return row_of_pixels(scene, row); },
                                      std::views::iota(0, scene.height))) {
    png.add_row(pixels);
  }
  png.finish();
}
